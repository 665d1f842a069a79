//! Token reviews: whose a token is, as the API server tells it of projected tokens of service accounts.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde_json::Value;
use serde_json::json;

/// When tokens expire, in seconds of Unix: in 2100.
const LASTS_UNTIL: u64 = 4_102_444_800;

/// The tokens that are good.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    made: u64,
    good: BTreeMap<String, Token>,
}

#[derive(Debug)]
struct Token {
    audiences: Vec<String>,
    user: Value,
}

// === impl Tokens ===

impl Tokens {
    /// A new token for a pod, by which the pod is told apart from every other.
    pub(super) fn issue(&mut self, pod: &Value, audiences: &[&str]) -> String {
        self.made += 1;
        let (metadata, spec) = (&pod["metadata"], &pod["spec"]);
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        let account = spec["serviceAccountName"].as_str().unwrap_or("default");
        let token = signed(&json!({
            "aud": audiences, "exp": LASTS_UNTIL, "iss": "https://kubernetes.default.svc.cluster.local",
            "jti": self.made.to_string(), "sub": format!("system:serviceaccount:{namespace}:{account}"),
            "kubernetes.io": {"namespace": namespace, "pod": {"name": metadata["name"], "uid": metadata["uid"]}},
        }));
        let user = json!({
            "username": format!("system:serviceaccount:{namespace}:{account}"),
            "uid": format!("account-{account}"),
            "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{namespace}"), "system:authenticated"],
            "extra": {
                "authentication.kubernetes.io/pod-name": [metadata["name"]],
                "authentication.kubernetes.io/pod-uid": [metadata["uid"]],
            },
        });
        let audiences = audiences.iter().map(|&audience| audience.to_owned()).collect();
        self.good.insert(token.clone(), Token { audiences, user });
        token
    }

    /// It is good no more.
    pub(super) fn revoke(&mut self, token: &str) {
        self.good.remove(token);
    }

    /// The user whose token this is, and the pod.
    pub(super) fn whose(&self, token: &str) -> Option<(&str, &str)> {
        let user = &self.good.get(token)?.user;
        let pod = &user["extra"]["authentication.kubernetes.io/pod-name"][0];
        Some((user["username"].as_str()?, pod.as_str()?))
    }

    /// Answers a review.
    pub(super) fn review(&self, mut review: Value) -> Value {
        let token = review["spec"]["token"].as_str().and_then(|token| self.good.get(token));
        let wanted = review["spec"]["audiences"].as_array().cloned().unwrap_or_default();
        review["status"] = match token {
            None => json!({"error": "[invalid bearer token, token lookup failed]"}),
            Some(token) => {
                let fits = |audience: &&String| wanted.iter().any(|wanted| wanted == *audience);
                let common: Vec<_> = token.audiences.iter().filter(fits).collect();
                if common.is_empty() {
                    json!({"error": format!("token audiences {:?} is invalid for the target audiences {wanted:?}", token.audiences)})
                } else {
                    json!({"authenticated": true, "user": token.user, "audiences": common})
                }
            }
        };
        review
    }
}

/// In the form of a JSON Web Token. Who reviews it looks it up, so that its signature need not be one.
fn signed(claims: &Value) -> String {
    let encoded = |part: String| {
        let text = json!(ByteString(part.into_bytes()));
        let text = text.as_str().unwrap_or_default();
        text.trim_end_matches('=').replace('+', "-").replace('/', "_")
    };
    let head = json!({"alg": "RS256", "kid": "test"});
    let parts = [head.to_string(), claims.to_string(), "no signature".to_owned()];
    parts.map(encoded).join(".")
}
