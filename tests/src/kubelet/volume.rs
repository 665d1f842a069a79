//! The volumes of a pod: folders, and what a kubelet writes into them.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;

use super::environment;
use super::list;
use crate::kubernetes::ApiServer;
use crate::pod::Pod;

/// Whom a token is for that says nothing else: the API server.
const API_SERVER: &str = "https://kubernetes.default.svc.cluster.local";

/// Makes them, or writes anew what is in them.
pub(super) fn all(pod: &Pod, object: &Value, api: &ApiServer) -> Result<BTreeMap<String, PathBuf>> {
    let mut volumes = BTreeMap::new();
    for volume in list(&object["spec"]["volumes"]) {
        let name = volume["name"].as_str().context("a volume has a name")?;
        let folder = pod.folder()?.join("volumes").join(name);
        std::fs::create_dir_all(&folder)?;
        if volume["projected"].is_object() {
            let mode = volume["projected"]["defaultMode"].as_u64().unwrap_or(0o644);
            for source in list(&volume["projected"]["sources"]) {
                for (path, text) in projected(source, object, api)? {
                    write(&folder, &path, &text, u32::try_from(mode)?)?;
                }
            }
        } else if volume["configMap"].is_object() {
            for (path, text) in config_map(&volume["configMap"], object, api)? {
                write(&folder, &path, &text, 0o644)?;
            }
        } else if !volume["emptyDir"].is_object() {
            bail!("a volume of a kind that is not known: {volume}");
        }
        volumes.insert(name.to_owned(), folder);
    }
    Ok(volumes)
}

/// Paths and texts of a source.
fn projected(source: &Value, object: &Value, api: &ApiServer) -> Result<Vec<(String, String)>> {
    let token = &source["serviceAccountToken"];
    if let Some(path) = token["path"].as_str() {
        let audience = token["audience"].as_str().unwrap_or(API_SERVER);
        return Ok(vec![(path.to_owned(), api.token(object, &[audience]))]);
    }
    if source["configMap"].is_object() {
        return config_map(&source["configMap"], object, api);
    }
    let items = list(&source["downwardAPI"]["items"]).iter().map(|item| {
        let path = item["path"].as_str().context("a path")?.to_owned();
        let field = item["fieldRef"]["fieldPath"].as_str().context("a field")?;
        Ok((path, environment::field(object, field)?))
    });
    let items: Vec<_> = items.collect::<Result<_>>()?;
    if items.is_empty() {
        bail!("a source of a kind that is not known: {source}");
    }
    Ok(items)
}

fn config_map(reference: &Value, object: &Value, api: &ApiServer) -> Result<Vec<(String, String)>> {
    let namespace = object["metadata"]["namespace"].as_str().context("a namespace")?;
    let name = reference["name"].as_str().context("a name")?;
    let map = api.find("configmaps", namespace, name);
    let map = map.with_context(|| format!("no ConfigMap {name}"))?;
    let texts = map["data"].as_object().into_iter().flatten();
    let texts = texts.map(|(key, text)| (key.clone(), text.as_str().unwrap_or_default().to_owned()));
    Ok(texts.collect())
}

/// Replaces a file at once, as a kubelet does.
fn write(folder: &Path, path: &str, text: &str, mode: u32) -> Result<()> {
    let (new, file) = (folder.join(format!("..{path}")), folder.join(path));
    std::fs::write(&new, text)?;
    std::fs::set_permissions(&new, Permissions::from_mode(mode))?;
    Ok(std::fs::rename(new, file)?)
}
