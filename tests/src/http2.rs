//! What a stream of HTTP/2 carries.

use anyhow::Context;
use anyhow::Result;
use h2::RecvStream;
use http::HeaderMap;

/// A body, and its trailers.
pub async fn collect(mut stream: RecvStream) -> Result<(Vec<u8>, HeaderMap)> {
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.context("in the body")?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await.context("in the trailers")?;
    Ok((body, trailers.unwrap_or_default()))
}
