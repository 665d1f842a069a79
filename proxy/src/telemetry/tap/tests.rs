use super::*;

fn refused(request: WatchRequest) -> String {
    match Wish::read(request) {
        Err(reason) => reason,
        Ok(wish) => panic!("{wish:?}"),
    }
}

#[test]
fn a_wish_that_makes_no_sense_is_refused_with_what_is_wrong() {
    let request = WatchRequest::default;
    let status = vec!["200".to_owned(), "6x".to_owned()];
    assert!(refused(WatchRequest { status, ..request() }).starts_with("status \"6x\" is not a status such as 404"));
    for peer in ["web", "10.0.0.0/33", "10.0.0.1/", "::/129"] {
        let reason = refused(WatchRequest {
            peer: peer.to_owned(),
            ..request()
        });
        assert!(
            reason.starts_with(&format!("peer {peer:?} is neither an address")),
            "{reason}"
        );
    }
    let direction = "up".to_owned();
    assert_eq!(
        refused(WatchRequest { direction, ..request() }),
        "direction \"up\" is neither inbound nor outbound"
    );
    let per_second = 10_001;
    assert_eq!(
        refused(WatchRequest {
            per_second,
            ..request()
        }),
        "10001 events a second are more than 10000"
    );
}

#[tokio::test]
async fn a_worker_knows_who_listens_and_that_nobody_does() {
    let tap = Arc::new(Tap::default());
    let worker = WorkerTap::new(Arc::clone(&tap), Arc::default());
    assert!(worker.listening().is_none());
    let one = tap.listen(WatchRequest::default()).unwrap();
    let other = tap.listen(WatchRequest::default()).unwrap();
    assert_eq!(worker.listening().unwrap().listeners.len(), 2);
    drop(one);
    assert_eq!(worker.listening().unwrap().listeners.len(), 1);
    drop(other);
    assert!(worker.listening().is_none());
}

#[tokio::test]
async fn so_many_may_listen_and_no_more() {
    let tap = Arc::new(Tap::default());
    let listen = |_| tap.listen(WatchRequest::default()).unwrap();
    let events: Vec<_> = (0..MOST_LISTENERS).map(listen).collect();
    assert_eq!(tap.listen(WatchRequest::default()).err(), Some(Refused::Full));
    drop(events);
    assert!(tap.listen(WatchRequest::default()).is_ok());
}
