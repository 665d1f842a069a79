//! A listener that everybody may reach: so many connections at once, and the one that has been idle the longest makes room.

use evenkeel_control_api::serve::{Place, Places};
use std::future::Future;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// After a failure to accept: without descriptors the next attempt would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections for ever, `most` at once. The [`Place`] of a connection is to be told of each sign of life.
pub(crate) async fn open<F>(
    listener: TcpListener,
    name: &'static str,
    most: usize,
    serve: impl Fn(TcpStream, Place) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Places::new(most);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (place, notice) = places.enter();
                let served = serve(stream, place);
                tokio::spawn(async move {
                    tokio::select! {
                        () = served => {}
                        () = notice.given() => tracing::debug!(name, "an idle connection made room for another"),
                    }
                });
            }
            Err(error) => {
                tracing::warn!(name, %error, "a listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
