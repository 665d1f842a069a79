//! The variables of a container, and `$(NAME)` in what it is started with.

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;

/// The variables of a container in their order, after those that every container has; `facts` is the pod, for what the downward
/// API says.
pub(super) fn read(env: &Value, facts: &Value, services: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let mut variables = services.to_vec();
    for variable in super::list(env) {
        let name = variable["name"].as_str().context("a variable has a name")?;
        let value = match (
            variable["value"].as_str(),
            variable["valueFrom"]["fieldRef"]["fieldPath"].as_str(),
        ) {
            (Some(value), None) => expand(value, &variables),
            (None, Some(path)) => field(facts, path).with_context(|| format!("{name}: {path}"))?,
            (None, None) if variable["valueFrom"].is_null() => String::new(),
            _ => bail!("a variable of a kind that is not known: {variable}"),
        };
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}

/// `$(NAME)` is what the variable says, where there is one; `$$` is a `$`.
pub(super) fn expand(text: &str, variables: &[(String, String)]) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out += before;
        let reference = after.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        let found = reference.and_then(|(name, rest)| {
            let value = variables.iter().rev().find(|variable| variable.0 == name)?;
            Some((value.1.as_str(), rest))
        });
        rest = match (found, after.strip_prefix('$')) {
            (Some((value, rest)), _) => {
                out += value;
                rest
            }
            (None, Some(rest)) => {
                out.push('$');
                rest
            }
            (None, None) => {
                out.push('$');
                after
            }
        };
    }
    out + rest
}

/// A field as the downward API spells it, such as `metadata.name` and `metadata.labels['app']`.
pub(super) fn field(facts: &Value, path: &str) -> Result<String> {
    let (path, key) = match path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        Some((path, key)) => (path, Some(key)),
        None => (path, None),
    };
    let mut at = path
        .split('.')
        .try_fold(facts, |at, word| at.get(word))
        .context("no such field")?;
    if let Some(key) = key {
        at = &at[key];
    }
    Ok(at.as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_refer_to_those_before_and_to_the_pod() {
        let facts = json!({"metadata": {"name": "web-0", "labels": {"app": "web"}}});
        let env = json!([
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "TEXT", "value": "$(POD).$(APP) $(LATER) $$(POD) $5"},
            {"name": "LATER", "value": "x"},
        ]);
        let variables = read(&env, &facts, &[]).unwrap();
        assert_eq!(variables[2].1, "web-0.web $(LATER) $(POD) $5");
    }
}
