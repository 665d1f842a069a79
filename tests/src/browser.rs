//! Chromium without a screen, in a pod: what a person would see of a page and do with it. It is steered over its own
//! protocol, the one of `DevTools`.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::WebSocket;

use crate::namespace::Namespace;
use crate::process::Process;
use crate::wait;

/// From start to listening, and from a command to its answer: a browser on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running browser with one page. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    process: Process,
    socket: WebSocket<TcpStream>,
    session: String,
    commands: u64,
    complaints: Vec<String>,
    _profile: TempDir,
}

// === impl Browser ===

impl Browser {
    /// Starts one inside `from`, with an empty page.
    pub fn start(from: &Namespace) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let mut command = from.command("chromium");
        // The sandbox wants a user of its own; what is opened here is our own page.
        command.args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ]);
        command.args([
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
        ]);
        command.args(["--hide-scrollbars", "--remote-debugging-port=0", "about:blank"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        let process = from.spawn(command)?;
        let line = process.wait_for_line("DevTools listening on ws://", PATIENCE)?;
        let (_, url) = line.split_once("ws://").context("the line has the address")?;
        let (authority, _) = url.split_once('/').context("an address with a path")?;
        let port = authority
            .rsplit_once(':')
            .context("an address with a port")?
            .1
            .parse()?;
        let stream = from.connect(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (socket, _) = tokio_tungstenite::tungstenite::client(format!("ws://{url}"), stream)?;
        let mut browser = Self {
            process,
            socket,
            session: String::new(),
            commands: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let page = browser.command("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attached = browser.command(
            "Target.attachToTarget",
            &json!({ "targetId": page["targetId"], "flatten": true }),
        )?;
        attached["sessionId"]
            .as_str()
            .context("a session")?
            .clone_into(&mut browser.session);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.command(domain, &json!({}))?;
        }
        Ok(browser)
    }

    /// Opens a page.
    pub fn open(&mut self, url: &str) -> Result<()> {
        let opened = self.command("Page.navigate", &json!({ "url": url }))?;
        ensure!(opened["errorText"].is_null(), "{url}: {}", opened["errorText"]);
        Ok(())
    }

    /// The window's inside, in CSS pixels.
    pub fn size(&mut self, width: u32, height: u32) -> Result<()> {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &size).map(drop)
    }

    /// What the person prefers: `light` or `dark`.
    pub fn color_scheme(&mut self, scheme: &str) -> Result<()> {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command("Emulation.setEmulatedMedia", &features).map(drop)
    }

    /// What an expression of JavaScript says in the page.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.command("Runtime.evaluate", &asked)?;
        if let Some(exception) = answer.get("exceptionDetails") {
            bail!("{expression}: {exception}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until an expression is true in the page; the error shows all text of the page.
    pub fn wait_until(&mut self, expression: &str, deadline: Duration) -> Result<()> {
        let mut last = Ok(Value::Null);
        let found = wait::until(deadline, || {
            last = self.evaluate(expression);
            last.as_ref()
                .is_ok_and(|value| *value == Value::Bool(true))
                .then_some(())
        });
        found.with_context(|| {
            let text = self.evaluate("document.body.innerText");
            format!("{expression}: {last:?}; the page says {text:?}")
        })
    }

    /// Presses a key, such as `Tab`, `Enter` or `a`.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            " " => (32, " "),
            other => (0, other),
        };
        let event = |kind: &str| json!({ "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code });
        let down = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        self.command("Input.dispatchKeyEvent", &event(down))?;
        self.command("Input.dispatchKeyEvent", &event("keyUp")).map(drop)
    }

    /// A picture of what is in the window, as PNG.
    pub fn picture(&mut self) -> Result<Vec<u8>> {
        let taken = self.command("Page.captureScreenshot", &json!({ "format": "png" }))?;
        base64(taken["data"].as_str().context("a picture")?)
    }

    /// What the page's console complained about so far: errors of the script, and what the content security policy forbade.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    fn command(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.commands += 1;
        let number = self.commands;
        let mut command = json!({ "id": number, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = self.session.clone().into();
        }
        self.socket.send(Message::text(command.to_string()))?;
        loop {
            let Message::Text(text) = self.socket.read().with_context(|| format!("the answer to {method}"))? else {
                continue;
            };
            let mut said: Value = serde_json::from_str(&text)?;
            if said["id"] == number {
                ensure!(said["error"].is_null(), "{method}: {}", said["error"]);
                return Ok(said["result"].take());
            }
            self.hear(&said);
        }
    }

    fn hear(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(parameters["exceptionDetails"].to_string()),
            Some("Log.entryAdded") if parameters["entry"]["level"] == "error" => {
                self.complaints.push(parameters["entry"].to_string());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// Reads base64 with padding (RFC 4648 4).
fn base64(text: &str) -> Result<Vec<u8>> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Ok(byte - b'A'),
        b'a'..=b'z' => Ok(byte - b'a' + 26),
        b'0'..=b'9' => Ok(byte - b'0' + 52),
        b'+' => Ok(62),
        b'/' => Ok(63),
        other => bail!("{other} is not of base64"),
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | u32::from(value(*byte)?);
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_any_padding() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(base64(text).unwrap(), bytes.as_bytes());
        }
        assert!(base64("a b").is_err());
    }
}
