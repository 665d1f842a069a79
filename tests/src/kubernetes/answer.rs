//! One request: where it leads, and what is answered.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::Method;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header;
use hyper::header::HeaderName;
use hyper::http::request::Parts;
use serde_json::Value;

use super::discovery;
use super::list::list;
use super::list::only_metadata;
use super::patch::Style;
use super::path::Query;
use super::path::Target;
use super::status::Refusal;
use super::watch::watch;
use super::world::Request;
use super::world::Shared;
use super::write;

type Answer = Response<BoxBody<Bytes, io::Error>>;

/// Where tokens are reviewed.
const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// Answers a request, when the test lets it.
pub(super) async fn answer(shared: Arc<Shared>, request: hyper::Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(refused(&Refusal::new(
            StatusCode::BAD_REQUEST,
            "the body was cut short",
        )));
    };
    let body = body.to_bytes();
    let object = serde_json::from_slice(&body).unwrap_or(Value::Null);
    released(&shared).await;
    let outcome = if body.is_empty() || !object.is_null() {
        route(&shared, &head, object)
    } else {
        Err(Refusal::new(StatusCode::BAD_REQUEST, "the body is no JSON"))
    };
    Ok(outcome.unwrap_or_else(|refusal| refused(&refusal)))
}

/// Waits while the test wants nothing to be answered, and for as long as it wants every answer to take.
async fn released(shared: &Shared) {
    let mut changes = shared.changes();
    let delay = shared.lock().faults.delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    loop {
        changes.borrow_and_update();
        let held = shared.lock().faults.held;
        if !held || changes.changed().await.is_err() {
            return;
        }
    }
}

fn route(shared: &Arc<Shared>, head: &Parts, object: Value) -> Result<Answer, Refusal> {
    let (path, query) = (head.uri.path(), Query::of(&head.uri));
    // What is not installed is asked for all the same.
    let asked = Target::parse(path);
    let verb = verb(&head.method, asked.as_ref(), &query)?;
    let (group, resource) = match &asked {
        Some(target) => (target.kind.group, target.resource()),
        None if path == TOKEN_REVIEWS => ("authentication.k8s.io", "tokenreviews".to_owned()),
        None => ("", path.to_owned()),
    };
    let bearer = head
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.trim_start_matches("Bearer "));
    // Before it has any effect: who sees the effect sees the request.
    let (number, refusal) = {
        let mut world = shared.lock();
        let whose = bearer.map(|token| world.tokens.whose(token).unwrap_or((token, token)));
        let (user, who) = whose.map(|(user, who)| (user.to_owned(), who.to_owned())).unzip();
        let number = world.note(Request {
            verb,
            group: group.to_owned(),
            resource: resource.clone(),
            namespace: asked.as_ref().and_then(|target| target.namespace.clone()),
            name: asked.as_ref().and_then(|target| target.name.clone()),
            query: head.uri.query().unwrap_or_default().to_owned(),
            who,
            body: object.clone(),
            code: None,
        });
        let forbidden = world.judge(&user.unwrap_or_default(), number);
        (number, forbidden.or_else(|| world.faults.refusal(verb, &resource)))
    };
    let target = asked.filter(|target| shared.lock().serves(target.kind));
    let outcome = match (refusal, &target) {
        (Some(refusal), _) => Err(refusal),
        (None, Some(target)) => serve(shared, head, verb, target, &query, object),
        (None, None) if path == TOKEN_REVIEWS => Ok(json(StatusCode::CREATED, &shared.lock().tokens.review(object))),
        (None, None) => {
            let page = discovery::page(&shared.lock(), path);
            let page = page.map(|page| json(StatusCode::OK, &page));
            page.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "404 page not found"))
        }
    };
    let code = match &outcome {
        Ok(answer) => answer.status(),
        Err(refusal) => refusal.code,
    };
    shared.lock().requests[number].code = Some(code.as_u16());
    outcome
}

fn verb(method: &Method, target: Option<&Target>, query: &Query) -> Result<&'static str, Refusal> {
    let one = target.is_none_or(|target| target.name.is_some());
    Ok(match *method {
        Method::GET if one => "get",
        Method::GET if query.says("watch") => "watch",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "no such verb")),
    })
}

fn serve(
    shared: &Arc<Shared>,
    head: &Parts,
    verb: &str,
    target: &Target,
    query: &Query,
    object: Value,
) -> Result<Answer, Refusal> {
    let field = |name: HeaderName| {
        head.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let metadata_only = field(header::ACCEPT).contains("as=PartialObjectMetadata");
    let (code, written) = match verb {
        "watch" => return Ok(json_stream(watch(shared, target, query, metadata_only))),
        "list" => {
            let page = list(&mut shared.lock(), target, query, metadata_only)?;
            return Ok(json(StatusCode::OK, &page));
        }
        "get" => write::get(&shared.lock(), target),
        "create" => shared.change(|world| write::create(world, target, query, object)),
        "update" => shared.change(|world| write::update(world, target, query, object)),
        "delete" => shared.change(|world| write::delete(world, target, &object)),
        _ => {
            let kind = field(header::CONTENT_TYPE);
            let style = Style::of(kind);
            let style = style.ok_or_else(|| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, kind))?;
            shared.change(|world| write::patch(world, target, query, style, &object))
        }
    }?;
    if metadata_only {
        return Ok(json(code, &only_metadata(&written)));
    }
    Ok(json(code, &written))
}

fn json(code: StatusCode, object: &Value) -> Answer {
    let body = Full::new(Bytes::from(object.to_string()));
    answered(code, body.map_err(|never| match never {}).boxed())
}

fn json_stream(body: BoxBody<Bytes, io::Error>) -> Answer {
    answered(StatusCode::OK, body)
}

fn refused(refusal: &Refusal) -> Answer {
    let mut answer = json(refusal.code, &refusal.status());
    if let Some(seconds) = refusal.retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

fn answered(code: StatusCode, body: BoxBody<Bytes, io::Error>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    answer
}
