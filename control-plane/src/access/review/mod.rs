//! Whom a bearer token is from, as the API server says (`TokenReview`). It fails closed: without an answer nobody new comes in,
//! and a token that was good goes on until it expires.
//!
//! ```text
//! cache   what was said, for a while     pure
//! token   what a token says of itself    pure
//! ```

mod cache;
mod token;

use crate::outage::Outage;
use cache::{Cache, Known};
use evenkeel_control_api::serve::{Denied, Peer};
use hyper::HeaderMap;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus, UserInfo};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Error};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use token::{Digest, Token};
use tokio::sync::{Semaphore, watch};

/// For whom a token must be meant.
pub const AUDIENCE: &str = "evenkeel";

/// Questions to the API server at once.
const AT_ONCE: usize = 32;
/// Tokens that are asked about or wait for that; beyond it, whoever comes is to come again.
const WAITING: usize = 4_096;
/// For a question, with its waiting.
const ANSWER: Duration = Duration::from_secs(10);

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

type Verdict = Result<Peer, Denied>;
/// What comes of a question that was asked.
type Asked = watch::Receiver<Option<Verdict>>;

/// Asks, and remembers. Cloning it makes another handle.
#[derive(Clone, Debug)]
pub struct Reviews(Arc<Shared>);

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers of the API server.
    pub answered: u64,
    /// Questions without an answer.
    pub failed: u64,
    /// Streams that needed no question.
    pub remembered: u64,
    /// Streams that came in by what was known before, because there was no answer.
    pub trusted: u64,
    /// Tokens that something is known of.
    pub known: usize,
}

struct Shared {
    reviews: Api<TokenReview>,
    exists: Box<dyn Fn(&Peer) -> bool + Send + Sync>,
    places: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cache: Cache,
    /// Each token is asked about once at a time.
    asked: HashMap<Digest, Asked>,
    counts: Counts,
    /// Of the API server.
    away: Outage,
}

impl Reviews {
    /// `exists` says whether there is such a pod, of that uid, as far as is known here.
    pub fn new(client: Client, exists: impl Fn(&Peer) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            reviews: Api::all(client),
            exists: Box::new(exists),
            places: Semaphore::new(AT_ONCE),
            state: Mutex::default(),
        }))
    }

    /// Whom a stream with this metadata is from.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Peer, Denied> {
        let token = Token::of(headers).map_err(invalid)?;
        let token = token.ok_or_else(|| Denied::Missing("there is no bearer token".to_owned()))?;
        let peer = self.peer(token).await?;
        if !(self.0.exists)(&peer) {
            // A pod that has just begun is known in a moment.
            let pod = peer.node_id();
            return Err(Denied::Unavailable(format!("no pod {pod} of this uid is known here")));
        }
        Ok(peer)
    }

    /// How it went so far.
    pub fn counts(&self) -> Counts {
        let state = self.0.state();
        Counts {
            known: state.cache.len(),
            ..state.counts
        }
    }

    async fn peer(&self, token: Token) -> Verdict {
        let digest = token.digest();
        let (known, asked) = {
            let mut state = self.0.state();
            let known = state.cache.look(&digest, SystemTime::now());
            let remembered = match &known {
                Known::Good(peer) => Some(Ok(peer.clone())),
                Known::Bad(reason) => Some(Err(Denied::Invalid(reason.clone()))),
                Known::Old(_) | Known::Nothing => None,
            };
            if let Some(verdict) = remembered {
                state.counts.remembered += 1;
                return verdict;
            }
            (known, self.ask(&mut state, digest, token))
        };
        let verdict = match asked {
            Ok(asked) => answer(asked).await,
            Err(denied) => Err(denied),
        };
        match (verdict, known) {
            (Err(Denied::Unavailable(_)), Known::Old(peer)) => {
                self.0.state().counts.trusted += 1;
                Ok(peer)
            }
            (verdict, _) => verdict,
        }
    }

    /// Joins those who wait for the same answer, or is the first of them.
    fn ask(&self, state: &mut State, digest: Digest, token: Token) -> Result<Asked, Denied> {
        if let Some(asked) = state.asked.get(&digest) {
            return Ok(asked.clone());
        }
        if state.asked.len() >= WAITING {
            return Err(Denied::Unavailable("too many tokens are to be looked into".to_owned()));
        }
        let (sender, receiver) = watch::channel(None);
        state.asked.insert(digest, receiver.clone());
        let shared = Arc::clone(&self.0);
        // On its own: whoever asked first may go away before the others have their answer.
        tokio::spawn(async move {
            let verdict = shared.review(&token).await;
            shared.learn(digest, token.expires, &verdict);
            sender.send_replace(Some(verdict));
        });
        Ok(receiver)
    }
}

async fn answer(mut asked: Asked) -> Verdict {
    let gone = || Denied::Unavailable("the token could not be looked into".to_owned());
    let verdict = asked.wait_for(Option::is_some).await.map_err(|_| gone())?;
    verdict.clone().unwrap_or_else(|| Err(gone()))
}

impl Shared {
    async fn review(&self, token: &Token) -> Verdict {
        let review = TokenReview {
            metadata: ObjectMeta::default(),
            spec: TokenReviewSpec {
                audiences: Some(vec![AUDIENCE.to_owned()]),
                token: Some(token.text.clone()),
            },
            status: None,
        };
        let asked = async {
            // The semaphore is never closed.
            let _place = self.places.acquire().await;
            self.reviews.create(&PostParams::default(), &review).await
        };
        let reason = match tokio::time::timeout(ANSWER, asked).await {
            Ok(Ok(TokenReview {
                status: Some(status), ..
            })) => return peer_of(status),
            Ok(Ok(_)) => "its answer has no status".to_owned(),
            Ok(Err(error)) => told(&error),
            Err(_) => format!("it has not answered within {ANSWER:?}"),
        };
        // A thousand proxies may ask while it is away.
        if self.state().away.begins() {
            tracing::warn!(
                reason,
                "the API server does not say whom tokens are from; asked again until it does"
            );
        }
        Err(Denied::Unavailable("the token cannot be looked into now".to_owned()))
    }

    fn learn(&self, digest: Digest, expires: SystemTime, verdict: &Verdict) {
        let now = SystemTime::now();
        let State {
            cache,
            asked,
            counts,
            away,
        } = &mut *self.state();
        asked.remove(&digest);
        match verdict {
            Ok(peer) => cache.good(digest, peer.clone(), expires, now),
            Err(Denied::Unavailable(_)) => {
                counts.failed += 1;
                return;
            }
            Err(denied) => cache.bad(digest, denied.to_string(), now),
        }
        counts.answered += 1;
        if let Some(since) = away.ends() {
            let outage = since.elapsed();
            tracing::info!(?outage, "the API server says again whom tokens are from");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole before the next begins.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reviews").finish_non_exhaustive()
    }
}

fn invalid(reason: &str) -> Denied {
    Denied::Invalid(format!("the token is not good: {reason}"))
}

/// What the API server says of us, who ask, is told to the operator.
fn told(error: &Error) -> String {
    match error {
        Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}

/// What an answer says. All of it must be there: a token that is good for something else is not good.
fn peer_of(status: TokenReviewStatus) -> Verdict {
    if status.authenticated != Some(true) {
        let reason = status.error.as_deref().unwrap_or("the API server does not know it");
        return Err(invalid(reason));
    }
    let audiences = status.audiences.unwrap_or_default();
    if !audiences.iter().any(|audience| audience == AUDIENCE) {
        return Err(invalid("it is meant for somebody else"));
    }
    let UserInfo { username, extra, .. } = status.user.unwrap_or_default();
    let username = username.unwrap_or_default();
    let account = username
        .strip_prefix(SERVICE_ACCOUNT)
        .and_then(|rest| rest.split_once(':'));
    let (namespace, service_account) = account.ok_or_else(|| invalid("it is not a ServiceAccount's"))?;
    let extra = extra.unwrap_or_default();
    let one = |key: &str| match extra.get(key).map(Vec::as_slice) {
        Some([value]) if !value.is_empty() => Ok(value.clone()),
        _ => Err(invalid("it is not bound to a pod")),
    };
    Ok(Peer {
        namespace: namespace.to_owned(),
        pod: one(POD_NAME)?,
        uid: one(POD_UID)?,
        service_account: service_account.to_owned(),
    })
}
