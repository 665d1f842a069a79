//! How the server refuses: an object of kind `Status`.

use hyper::StatusCode;
use serde_json::Value;
use serde_json::json;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: StatusCode,
    reason: &'static str,
    message: String,
    /// Seconds until it is worth another try.
    pub(super) retry_after: Option<u32>,
}

// === impl Refusal ===

impl Refusal {
    /// A refusal with this code, and the word that goes with it.
    pub(super) fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: match code {
                StatusCode::BAD_REQUEST => "BadRequest",
                StatusCode::UNAUTHORIZED => "Unauthorized",
                StatusCode::FORBIDDEN => "Forbidden",
                StatusCode::NOT_FOUND => "NotFound",
                StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
                StatusCode::CONFLICT => "Conflict",
                StatusCode::GONE => "Expired",
                StatusCode::UNSUPPORTED_MEDIA_TYPE => "UnsupportedMediaType",
                StatusCode::UNPROCESSABLE_ENTITY => "Invalid",
                StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
                StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
                _ => "InternalError",
            },
            message: message.into(),
            retry_after: None,
        }
    }

    /// There is one already.
    pub(super) fn exists(message: impl Into<String>) -> Self {
        Self {
            reason: "AlreadyExists",
            ..Self::new(StatusCode::CONFLICT, message)
        }
    }

    /// What a client has not seen is not there any more.
    pub(super) fn gone() -> Self {
        Self::new(StatusCode::GONE, "too old resource version")
    }

    /// The object.
    pub(super) fn status(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        })
    }
}
