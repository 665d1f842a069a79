//! The page of the operator's door in a real browser: it shows the numbers of a known load, and can be used by everybody.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::browser::Browser;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::xds::XdsServer;
use evenkeel_tests::xds::resource;
use nix::sys::signal::Signal;
use serde_json::Value;
use serde_json::json;

const PAGE: &str = "http://127.0.0.1:15000/";
/// What is waited for happens sooner, also on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// A client with its mesh, three replicas, and a browser in the client's pod.
struct World {
    browser: Browser,
    mesh: Mesh,
    client: Pod,
    web: Service,
    replicas: Vec<Replica>,
    cluster: Cluster,
}

// === impl World ===

impl World {
    fn new() -> Result<Self> {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(3)?;
        let client = cluster.pod("client")?;
        let web = web(&replicas);
        cluster.expose(&web)?;
        let mesh = client.mesh(&Document::of(&[&web]))?.quiet();
        let mut browser = Browser::start(&client)?;
        browser.size(1280, 900)?;
        browser.open(PAGE)?;
        browser.wait_until("document.body.dataset.link === 'live'", DEADLINE)?;
        Ok(Self {
            browser,
            mesh,
            client,
            web,
            replicas,
            cluster,
        })
    }

    fn load(&self, requests: u32) -> Result<()> {
        let load = clients::ab(&self.client, self.web.at(80), requests)?;
        ensure!(load.succeeded == u64::from(requests), "{load:?}");
        Ok(())
    }

    /// Nothing was forbidden, and no script has failed.
    fn has_no_complaints(&self) -> Result<()> {
        let complaints = self.browser.complaints();
        ensure!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    }
}

fn web(replicas: &[Replica]) -> Service {
    Service::new("web", Family::V4.vip(10)).with(Port::http(80, replicas, Family::V4).balance("round_robin"))
}

/// The text of a figure of what a selector finds, as an expression.
fn figure(of: &str, name: &str) -> String {
    format!("document.querySelector(`{of}`)?.querySelector('[data-figure=\"{name}\"]')?.textContent")
}

fn of_service(name: &str) -> String {
    format!("article[data-service=\"{name}\"][data-direction=outbound]")
}

#[test]
fn the_page_shows_the_numbers_of_a_known_load() -> Result<()> {
    let mut world = World::new()?;
    world.load(300)?;
    let service = of_service("web:80");
    let shown = format!("{} === '300'", figure(&service, "requests"));
    world.browser.wait_until(&shown, DEADLINE)?;
    for (name, expected) in [("failed", "0"), ("success", "100 %"), ("retries", "0")] {
        let found = world.browser.evaluate(&figure(&service, name))?;
        // Success is of the last seconds, which may have passed on a busy machine.
        let passed = name == "success" && found == "–";
        ensure!(found == expected || passed, "{name}: {found}");
    }
    for replica in &world.replicas {
        let endpoint = format!("{service} tr[data-endpoint=\"{}\"]", replica.http(Family::V4));
        for (name, expected) in [
            ("requests", "100"),
            ("failed", "0"),
            ("health", "healthy"),
            ("share", "33 %"),
        ] {
            let found = world.browser.evaluate(&figure(&endpoint, name))?;
            ensure!(found == expected, "{endpoint} {name}: {found}");
        }
    }
    // One account of all: what the page is told is what the metrics have.
    let counted = [("direction", "outbound"), ("service", "web:80")];
    let counted = world.mesh.metrics()?.value("evenkeel_requests_total", &counted);
    ensure!(
        (counted - 300.0).abs() < 0.5,
        "the page says 300, the metrics {counted}"
    );
    let detected = figure("tr[data-detection=http1]", "connections");
    ensure!(world.browser.evaluate(&detected)? == "1", "one connection of ab");
    world.has_no_complaints()
}

#[test]
fn a_service_that_nobody_has_used_is_a_line_until_somebody_opens_it() -> Result<()> {
    let mut world = World::new()?;
    let unused = "article[data-service=\"web:80\"][data-direction=\"\"]";
    let table = format!("document.querySelector(`{unused} table`)?.checkVisibility()");
    world.browser.wait_until(&format!("{table} === false"), DEADLINE)?;
    let figures = format!("document.querySelector(`{unused} .figures`).checkVisibility()");
    ensure!(world.browser.evaluate(&figures)? == false, "dashes are shown");
    world
        .browser
        .evaluate(&format!("document.querySelector(`{unused} button`).click()"))?;
    world.browser.wait_until(&format!("{table} === true"), DEADLINE)?;
    world.has_no_complaints()
}

#[test]
fn rates_are_there_while_requests_come_and_are_gone_afterwards() -> Result<()> {
    let mut world = World::new()?;
    let load = world
        .client
        .spawn(clients::ab_command(&world.client, world.web.at(80), 2_000_000))?;
    let service = of_service("web:80");
    let (rate, p99) = (figure(&service, "rate"), figure(&service, "p99"));
    let runs = format!("parseFloat(({rate} ?? '0').replaceAll(',', '')) > 1 && {p99}.endsWith('s')");
    world.browser.wait_until(&runs, DEADLINE)?;
    // Service and endpoints at one look: what is there at another moment proves nothing.
    let endpoint = format!("{service} tr[data-endpoint=\"{}\"]", world.replicas[1].http(Family::V4));
    let runs = [&service, &endpoint].map(|of| {
        let [rate, success, p50, p99] = ["rate", "success", "p50", "p99"].map(|name| figure(of, name));
        format!(
            "parseFloat(({rate} ?? '0').replaceAll(',', '')) > 1 && {success} === '100 %' \
             && {p50}.endsWith('s') && {p99}.endsWith('s')"
        )
    });
    world.browser.wait_until(&runs.join(" && "), DEADLINE)?;
    world.browser.wait_until("document.title.includes('req/s')", DEADLINE)?;
    load.kill();
    world
        .browser
        .wait_until(&format!("{rate} === '0' && {p99} === '–'"), DEADLINE)?;
    world.has_no_complaints()
}

#[test]
fn an_endpoint_that_fails_is_seen_at_a_glance() -> Result<()> {
    let mut world = World::new()?;
    world.load(30)?;
    let dead = world.replicas[1].http(Family::V4);
    world.replicas[1].process().kill();
    // Others answer in its place: no request fails.
    world.load(30)?;
    let seen = format!(
        "document.querySelector('tr[data-endpoint=\"{dead}\"]').classList.contains('bad') \
         && document.getElementById('ejected').textContent.includes('{dead}') \
         && document.querySelector('[data-tile=Ejected] dd').textContent === '1' \
         && document.querySelector('article.trouble h3').textContent === 'web:80'"
    );
    world.browser.wait_until(&seen, DEADLINE)?;
    world.has_no_complaints()
}

#[test]
fn the_page_says_that_the_proxy_is_gone_and_finds_it_again() -> Result<()> {
    let mut world = World::new()?;
    world.mesh.proxy().signal(Signal::SIGSTOP)?;
    world
        .browser
        .wait_until("document.body.dataset.link === 'stale'", DEADLINE)?;
    world.mesh.proxy().signal(Signal::SIGCONT)?;
    world
        .browser
        .wait_until("document.body.dataset.link === 'live'", DEADLINE)?;
    world.mesh.proxy().kill();
    let gone = "document.body.dataset.link === 'gone' && !document.getElementById('alarm').hidden";
    world.browser.wait_until(gone, DEADLINE)?;
    world.mesh.restart()?;
    world
        .browser
        .wait_until("document.body.dataset.link === 'live'", DEADLINE)
}

#[test]
fn a_refused_document_and_a_page_without_services_are_told() -> Result<()> {
    let mut world = World::new()?;
    world.mesh.configure_text("servces: []\n")?;
    let told = "document.getElementById('configuration').textContent.includes('servces') \
                && document.querySelector('[data-tile=Refused] dd').textContent === '1'";
    world.browser.wait_until(told, DEADLINE)?;
    world.mesh.configure(&Document::of(&[]))?;
    let empty = "document.querySelector('[data-tile=Refused] dd').textContent === '0' \
                 && !document.querySelector('article[data-service=\"web:80\"]')";
    world.browser.wait_until(empty, DEADLINE)?;
    world.has_no_complaints()
}

#[test]
fn everything_can_be_reached_and_done_with_the_keyboard() -> Result<()> {
    let mut world = World::new()?;
    world.load(30)?;
    let shown = format!("{} === '30'", figure(&of_service("web:80"), "requests"));
    world.browser.wait_until(&shown, DEADLINE)?;
    let mut visited = Vec::new();
    let focused = "document.activeElement === document.body ? '' : document.activeElement.id || document.activeElement.textContent";
    for _ in 0..60 {
        world.browser.press("Tab")?;
        let place = world.browser.evaluate(focused)?;
        let place = place.as_str().unwrap_or_default().to_owned();
        let ring = "getComputedStyle(document.activeElement).outlineStyle !== 'none'";
        ensure!(
            place.is_empty() || world.browser.evaluate(ring)? == true,
            "{place}: the focus cannot be seen"
        );
        match place.as_str() {
            "web:80" => {
                let open = "document.activeElement.getAttribute('aria-expanded')";
                world.browser.press("Enter")?;
                ensure!(world.browser.evaluate(open)? == "false", "Enter closes a service");
                world.browser.press(" ")?;
                ensure!(world.browser.evaluate(open)? == "true", "the space bar opens it");
            }
            "filter" => {
                for key in ["n", "o", "x"] {
                    world.browser.press(key)?;
                }
                let filtered = "!document.querySelector('article') && !document.getElementById('empty').hidden";
                world.browser.wait_until(filtered, DEADLINE)?;
                world.browser.evaluate("document.getElementById('filter').select()")?;
                for key in ["w", "e", "b"] {
                    world.browser.press(key)?;
                }
                world
                    .browser
                    .wait_until("document.querySelector('article') !== null", DEADLINE)?;
            }
            "pause" => {
                world.browser.press("Enter")?;
                world
                    .browser
                    .wait_until("document.body.dataset.link === 'paused'", DEADLINE)?;
                world.browser.press("Enter")?;
                world
                    .browser
                    .wait_until("document.body.dataset.link === 'live'", DEADLINE)?;
            }
            _ => {}
        }
        visited.push(place);
    }
    for wanted in [
        "Skip to the services",
        "pause",
        "filter",
        "busy",
        "web:80",
        "/clusters",
        "/stats",
    ] {
        ensure!(
            visited.iter().any(|place| place == wanted),
            "{wanted} is not among {visited:?}"
        );
    }
    world.has_no_complaints()
}

/// Everything that is text, with the contrast of its color to what lies behind it (WCAG 2.2, 1.4.3), where that is too little.
const PALE: &str = r"(() => {
  const channel = value => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
  const numbers = color => color.match(/[\d.]+/g).map(Number);
  const luminance = color => { const [r, g, b] = numbers(color).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = node => { for (; node; node = node.parentElement) { const color = getComputedStyle(node).backgroundColor; if ((numbers(color)[3] ?? 1) > 0) return color; } return 'rgb(255, 255, 255)'; };
  const pale = [];
  for (const node of document.body.querySelectorAll('*')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(node.tagName)) continue;
    const [one, other] = [luminance(getComputedStyle(node).color), luminance(ground(node))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) pale.push(`${node.tagName} ${node.textContent} ${contrast}`);
  }
  return pale;
})()";

#[test]
fn it_fits_narrow_and_wide_windows_and_can_be_read_in_both_schemes() -> Result<()> {
    let mut world = World::new()?;
    world.load(30)?;
    let shown = format!("{} === '30'", figure(&of_service("web:80"), "requests"));
    world.browser.wait_until(&shown, DEADLINE)?;
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        world.browser.color_scheme(scheme)?;
        for width in [400, 1280] {
            world.browser.size(width, 900)?;
            let least = world.browser.evaluate("document.documentElement.scrollWidth")?;
            ensure!(
                least.as_u64() <= Some(width.into()),
                "{width}: {least} pixels are wanted"
            );
            // Nothing is cut off at the side either, where a table would scroll by itself.
            let beyond = "[...document.querySelectorAll('main *')].filter(node => node.checkVisibility() \
                 && node.getBoundingClientRect().right > innerWidth + 1).map(node => node.outerHTML)";
            let beyond = world.browser.evaluate(beyond)?;
            ensure!(beyond == json!([]), "{width}: {beyond}");
            let pale = world.browser.evaluate(PALE)?;
            ensure!(pale == json!([]), "{scheme} {width}: {pale}");
        }
        grounds.push(
            world
                .browser
                .evaluate("getComputedStyle(document.body).backgroundColor")?,
        );
    }
    ensure!(grounds[0] != grounds[1], "{grounds:?}");
    world.has_no_complaints()
}

#[test]
fn names_that_are_markup_do_no_harm() -> Result<()> {
    const EVIL: &str = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
    let cluster = Cluster::new()?;
    let client = cluster.pod("client")?;
    let plane_at = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 18_000);
    let plane = XdsServer::start(&client, plane_at)?;
    let replica = cluster.replica("r1", 0)?;
    let service =
        Service::new("evil", Family::V4.vip(10)).with(Port::banner(9000, std::slice::from_ref(&replica), Family::V4));
    cluster.expose(&service)?;
    let mut resources: Vec<Value> = resource::outbound().into();
    resources.push(resource::listener(
        "evil",
        service.at(9000),
        &[resource::chain(&resource::tcp(EVIL))],
    ));
    resources.push(resource::cluster(EVIL));
    resources.push(resource::assignment(EVIL, [replica.banner(Family::V4)]));
    // Refused, with a name that is shown with the reason.
    let refused = resource::listener(
        &format!("refused {EVIL}"),
        service.at(9001),
        &[resource::chain(&resource::tcp(EVIL))],
    );
    resources.push(resource::with(refused, json!({ "transparent": true })));
    plane.set(&resources)?;
    let section = format!("{{servers: [\"{plane_at}\"], node: {{id: client}}, subscribe: everything}}");
    let _mesh = client.mesh(&Document::under(&section))?.quiet();
    clients::banner(&client, service.at(9000), 1)?;

    let mut browser = Browser::start(&client)?;
    browser.open(PAGE)?;
    let shown = format!(
        "[...document.querySelectorAll('article h3')].some(title => title.textContent.includes({name})) \
         && document.getElementById('configuration').textContent.includes('refused ' + {name})",
        name = Value::from(EVIL)
    );
    browser.wait_until(&shown, DEADLINE)?;
    ensure!(
        browser.evaluate("document.title.includes('owned')")? == false,
        "the title was changed"
    );
    ensure!(
        browser.evaluate("document.querySelector('main img, main script')")? == Value::Null,
        "markup was made"
    );
    ensure!(browser.complaints().is_empty(), "{:?}", browser.complaints());
    Ok(())
}

/// `cargo test -p evenkeel-tests --test live_page the_pictures -- --ignored` takes the pictures of the documentation anew.
#[test]
#[ignore = "it writes docs/live-page.png and docs/live-page-narrow.png"]
fn the_pictures_in_the_docs_are_taken_anew() -> Result<()> {
    let mut world = World::new()?;
    let slow = world.cluster.replica("slow", 40)?;
    let mut replicas = world.replicas.clone();
    replicas.push(slow);
    let web = Service::new("web", Family::V4.vip(10)).with(Port::http(80, &replicas, Family::V4));
    let database = Service::new("db", Family::V4.vip(11)).with(Port::banner(9000, &replicas[..2], Family::V4));
    world.cluster.expose(&database)?;
    world.mesh.apply(&Document::of(&[&web, &database]))?;
    world.replicas[2].process().signal(Signal::SIGKILL)?;
    clients::banner(&world.client, database.at(9000), 5)?;
    let load = world
        .client
        .spawn(clients::ab_command(&world.client, web.at(80), 2_000_000))?;
    let rows = "document.querySelector('article.trouble svg polyline')?.getAttribute('points').split(' ').length > 30";
    world.browser.wait_until(rows, DEADLINE)?;
    for (name, width, height, scheme) in [
        ("live-page.png", 1280, 1380, "light"),
        ("live-page-narrow.png", 400, 1700, "dark"),
    ] {
        world.browser.color_scheme(scheme)?;
        world.browser.size(width, height)?;
        let picture = world.browser.picture()?;
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        std::fs::write(&docs, picture).with_context(|| docs.display().to_string())?;
    }
    load.kill();
    Ok(())
}
