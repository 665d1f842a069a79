//! `AdmissionReview` of `admission.k8s.io/v1`: the part that the injector reads and writes.

use json_patch::Patch;
use k8s_openapi::ByteString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The only version there is.
const VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// What the API server sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    api_version: String,
    kind: String,
    request: Option<Request>,
}

/// About which object it asks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    /// Goes back with the answer.
    pub(super) uid: String,
    pub(super) kind: GroupVersionKind,
    #[serde(default)]
    pub(super) sub_resource: String,
    #[serde(default)]
    pub(super) namespace: String,
    pub(super) operation: String,
    #[serde(default)]
    pub(super) object: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupVersionKind {
    #[serde(default)]
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
}

/// What it is answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<ByteString>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

/// What becomes of the object.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is made, changed by the patch.
    Allowed { patch: Patch, warnings: Vec<String> },
    /// It is not made; why.
    Denied(String),
}

/// Reads a question. `Err`: what is wrong with it, for whoever sent it.
pub(super) fn read(body: &[u8]) -> Result<Request, String> {
    let question: Question =
        serde_json::from_slice(body).map_err(|error| format!("not an {KIND} of {VERSION}: {error}"))?;
    if (question.api_version.as_str(), question.kind.as_str()) != (VERSION, KIND) {
        let (version, kind) = (question.api_version, question.kind);
        return Err(format!("not an {KIND} of {VERSION}, but a {kind:?} of {version:?}"));
    }
    question.request.ok_or_else(|| format!("an {KIND} without a request"))
}

/// Writes the answer.
pub(super) fn write(uid: &str, verdict: Verdict) -> Result<Vec<u8>, serde_json::Error> {
    let response = match verdict {
        Verdict::Allowed { patch, warnings } => {
            let changes = !patch.0.is_empty();
            let bytes = changes.then(|| serde_json::to_vec(&patch)).transpose()?;
            Response {
                uid,
                allowed: true,
                status: None,
                patch_type: changes.then_some("JSONPatch"),
                patch: bytes.map(ByteString),
                warnings,
            }
        }
        Verdict::Denied(message) => Response {
            uid,
            allowed: false,
            status: Some(Status {
                code: 422,
                reason: "Invalid",
                message,
            }),
            patch_type: None,
            patch: None,
            warnings: Vec::new(),
        },
    };
    serde_json::to_vec(&Answer {
        api_version: VERSION,
        kind: KIND,
        response,
    })
}
