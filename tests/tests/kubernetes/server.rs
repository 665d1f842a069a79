//! The scripted API server, as the client that the control plane uses sees it.

use std::pin::Pin;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::kubernetes::ApiServer;
use evenkeel_tests::kubernetes::Installed;
use evenkeel_tests::kubernetes::object;
use evenkeel_tests::rbac::Rights;
use futures_util::Stream;
use futures_util::StreamExt;
use hyper::StatusCode;
use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::Client;
use kube::Config;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::api::PostParams;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use kube::runtime::watcher;
use kube::runtime::watcher::Event;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(40);

type Events = Pin<Box<dyn Stream<Item = Result<Event<Service>, watcher::Error>> + Send>>;

/// Runs a story with a server, which nothing is in, and a client of it.
fn with_client(story: impl AsyncFnOnce(&ApiServer, Client) -> Result<()> + Send) -> Result<()> {
    let cluster = Cluster::new()?;
    let pod = cluster.pod("api")?;
    let api = ApiServer::start(&pod, Family::V4)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    pod.enter(|| {
        runtime.block_on(async {
            let config = Kubeconfig::from_yaml(&api.kubeconfig("test"))?;
            let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
            story(&api, Client::try_from(config)?).await
        })
    })?
}

fn service(name: &str) -> serde_json::Value {
    object::service("shop", name, &[Family::V4.vip(10)], &[object::port("http", 80, 8080)])
}

fn watch(client: &Client, config: watcher::Config) -> Events {
    Box::pin(watcher(Api::<Service>::all(client.clone()), config))
}

/// The next event, in a word; errors are what a watch goes through when it is broken off.
async fn next(events: &mut Events) -> Result<String> {
    let event = tokio::time::timeout(DEADLINE, events.next())
        .await
        .context("no event")?;
    Ok(match event.context("the stream has ended")? {
        Ok(Event::Init) => "init".to_owned(),
        Ok(Event::InitApply(service)) => format!("has {}", service.name_any()),
        Ok(Event::InitDone) => "all".to_owned(),
        Ok(Event::Apply(service)) => format!("apply {}", service.name_any()),
        Ok(Event::Delete(service)) => format!("delete {}", service.name_any()),
        Err(error) => format!("error {error}"),
    })
}

async fn told(events: &mut Events, expected: &[&str]) -> Result<()> {
    for expected in expected {
        let event = next(events).await?;
        ensure!(event.starts_with(expected), "{event}, not {expected}");
    }
    Ok(())
}

#[test]
fn a_watch_begins_with_what_there_is_and_follows_what_becomes_of_it() -> Result<()> {
    with_client(async |api, client| {
        api.put([service("a"), service("b"), service("c")]);
        for config in [
            watcher::Config::default().page_size(2),
            watcher::Config::default().streaming_lists(),
        ] {
            let mut events = watch(&client, config.clone());
            if config.page_size == Some(2) {
                told(&mut events, &["init"]).await?;
            }
            told(&mut events, &["has a", "has b", "has c", "all"]).await?;
            api.put([service("d")]);
            told(&mut events, &["apply d"]).await?;
            api.repeat("services", "shop", "d");
            told(&mut events, &["apply d"]).await?;
            api.delete("services", "shop", "d");
            told(&mut events, &["delete d"]).await?;
        }
        ensure!(api.count("list", "services") == 2, "two pages");
        Ok(())
    })
}

#[test]
fn a_watch_that_was_broken_off_goes_on_where_it_was() -> Result<()> {
    with_client(async |api, client| {
        let mut events = watch(&client, watcher::Config::default());
        told(&mut events, &["init", "all"]).await?;
        api.put([service("a")]);
        told(&mut events, &["apply a"]).await?;
        api.cut_watches();
        api.put([service("b")]);
        let mut event = next(&mut events).await?;
        while event.starts_with("error") {
            event = next(&mut events).await?;
        }
        ensure!(event == "apply b", "{event}");
        ensure!(api.count("list", "services") == 1);
        Ok(())
    })
}

#[test]
fn what_was_missed_and_is_forgotten_is_listed_anew() -> Result<()> {
    with_client(async |api, client| {
        api.put([service("a")]);
        let mut events = watch(&client, watcher::Config::default());
        told(&mut events, &["init", "has a", "all"]).await?;
        api.put([service("seen")]);
        told(&mut events, &["apply seen"]).await?;
        api.unseen([service("b")], &[("services", "shop", "a")]);
        let mut event = next(&mut events).await?;
        while event.starts_with("error") {
            event = next(&mut events).await?;
        }
        ensure!(event == "init", "{event}");
        told(&mut events, &["has b", "has seen", "all"]).await?;
        ensure!(api.count("list", "services") == 2);
        Ok(())
    })
}

#[test]
fn a_bookmark_spares_a_list_after_a_compaction() -> Result<()> {
    with_client(async |api, client| {
        let mut events = watch(&client, watcher::Config::default());
        told(&mut events, &["init", "all"]).await?;
        api.put([service("a")]);
        told(&mut events, &["apply a"]).await?;
        api.put([object::namespace("elsewhere", &[])]);
        api.bookmark();
        api.end_watches();
        // It has the bookmark before what it saw last is forgotten.
        api.wait_for_watches("services", 0)?;
        api.compact();
        let again = async {
            while api.count("watch", "services") < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            event = next(&mut events) => anyhow::bail!("{event:?}"),
            () = again => {}
        }
        api.put([service("b")]);
        told(&mut events, &["apply b"]).await?;
        ensure!(api.count("list", "services") == 1);
        Ok(())
    })
}

#[test]
fn a_server_that_dies_or_says_nothing_is_found_again() -> Result<()> {
    with_client(async |api, client| {
        let services = Api::<Service>::all(client);
        services.list(&ListParams::default()).await?;
        api.die();
        let refused = services.list(&ListParams::default()).await;
        ensure!(refused.is_err(), "{refused:?}");
        api.revive()?;
        services.list(&ListParams::default()).await?;
        api.hold();
        let asked = tokio::spawn(async move { services.list(&ListParams::default()).await });
        tokio::task::yield_now().await;
        ensure!(!asked.is_finished());
        api.release();
        tokio::time::timeout(DEADLINE, asked).await???;
        Ok(())
    })
}

#[test]
fn a_write_of_what_somebody_else_has_changed_is_a_conflict() -> Result<()> {
    with_client(async |api, client| {
        let services = Api::<Service>::namespaced(client, "shop");
        let made: Service = serde_json::from_value(service("a"))?;
        let made = services.create(&PostParams::default(), &made).await?;
        let again = services.create(&PostParams::default(), &made).await;
        ensure!(again.as_ref().is_err_and(is(StatusCode::CONFLICT)), "{again:?}");
        api.edit("services", "shop", "a", |service| {
            service["spec"]["type"] = json!("NodePort");
        });
        let stale = services.replace("a", &PostParams::default(), &made).await;
        ensure!(stale.as_ref().is_err_and(is(StatusCode::CONFLICT)), "{stale:?}");

        let condition = json!({"type": "Accepted", "status": "True", "reason": "A", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let patch = json!({"apiVersion": "v1", "kind": "Service", "status": {"conditions": [condition]}, "spec": {"type": "no"}});
        let apply = PatchParams::apply("test").force();
        services.patch_status("a", &apply, &Patch::Apply(&patch)).await?;
        let found = api.find("services", "shop", "a").context("it is there")?;
        ensure!(
            found["spec"]["type"] == "NodePort" && found["status"]["conditions"][0]["reason"] == "A",
            "{found}"
        );
        // What says nothing new makes no new version.
        services.patch_status("a", &apply, &Patch::Apply(&patch)).await?;
        ensure!(api.find("services", "shop", "a").as_ref() == Some(&found));
        Ok(())
    })
}

#[test]
fn what_the_test_refuses_is_refused_with_its_code() -> Result<()> {
    with_client(async |api, client| {
        let services = Api::<Service>::all(client.clone());
        api.refuse("list", "services", StatusCode::FORBIDDEN);
        let refused = services.list(&ListParams::default()).await;
        ensure!(refused.as_ref().is_err_and(is(StatusCode::FORBIDDEN)), "{refused:?}");
        api.allow();
        // The client tries again by itself when it is told that there are too many.
        api.throttle("list", "services", 0);
        let asked = tokio::spawn(async move { services.list(&ListParams::default()).await });
        while !api.requests().iter().any(|request| request.code == Some(429)) {
            tokio::task::yield_now().await;
        }
        api.allow();
        tokio::time::timeout(DEADLINE, asked).await???;
        api.install("gateway.networking.k8s.io", Installed::No);
        ensure!(
            client
                .list_api_group_resources("gateway.networking.k8s.io/v1")
                .await
                .is_err()
        );
        api.install("gateway.networking.k8s.io", Installed::Yes);
        let groups = client.list_api_groups().await?.groups;
        ensure!(groups.iter().any(|group| group.name == "gateway.networking.k8s.io"));
        Ok(())
    })
}

#[test]
fn a_token_is_its_pods_for_its_audience() -> Result<()> {
    with_client(async |api, client| {
        api.put([object::pod("shop", "web-0", "web", &[])]);
        let pod = api.find("pods", "shop", "web-0").context("it is there")?;
        let token = api.token(&pod, &["evenkeel"]);
        for (text, audience, good) in [
            (token.as_str(), "evenkeel", true),
            (&token, "other", false),
            ("made up", "evenkeel", false),
        ] {
            let review = json!({"spec": {"token": text, "audiences": [audience]}});
            let review: TokenReview = serde_json::from_value(review)?;
            let review = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
            let status = review.status.context("a status")?;
            ensure!(status.authenticated.unwrap_or_default() == good, "{status:?}");
            let user = status.user.unwrap_or_default();
            let name = user
                .extra
                .unwrap_or_default()
                .remove("authentication.kubernetes.io/pod-name");
            ensure!(name == good.then(|| vec!["web-0".to_owned()]), "{name:?}");
        }
        Ok(())
    })
}

#[test]
fn what_goes_beyond_the_rights_of_its_user_is_refused_and_told() -> Result<()> {
    with_client(async |api, client| {
        let services = Api::<Service>::all(client.clone());
        let rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]});
        api.bind("test", Rights::of(&[json!({"kind": "ClusterRole", "rules": [rule]})]));
        Api::<Pod>::all(client).list(&ListParams::default()).await?;
        let refused = services.list(&ListParams::default()).await;
        ensure!(refused.as_ref().is_err_and(is(StatusCode::FORBIDDEN)), "{refused:?}");
        let told = api.take_forbidden();
        ensure!(told.len() == 1 && told[0].resource == "services", "{told:?}");
        Ok(())
    })
}

fn is(code: StatusCode) -> impl Fn(&kube::Error) -> bool {
    move |error| matches!(error, kube::Error::Api(status) if status.code == code.as_u16())
}
