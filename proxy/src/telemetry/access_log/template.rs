//! Lines in a form that is configured, compiled once: what does not change is text already, and headers are places.

use super::entry::Entry;
use super::entry::Outcome;
use super::escape::Inside;
use super::escape::escape;
use super::head::Wanted;
use super::json;
use super::number;
use super::text;
use super::time::Clock;
use super::value::Got;
use super::value::Hole;
use super::value::Moment;
use evenkeel_control_api::mesh::settings::Lines;
use evenkeel_control_api::mesh::template::Part;
use evenkeel_control_api::mesh::template::Template;
use evenkeel_control_api::mesh::template::Value;

/// What a line looks like.
#[derive(Debug)]
pub(super) enum Form {
    /// The usual `key=value`.
    Text,
    /// The usual object.
    Json,
    /// Pieces of text.
    TextTemplate(Vec<Piece>, Wanted),
    /// Pieces of an object.
    JsonTemplate(Vec<Piece>, Wanted),
}

/// A piece of a line.
#[derive(Debug)]
pub(super) enum Piece {
    /// As it stands in the line, escaped already.
    Fixed(Vec<u8>),
    /// A value; inside a string where the line is JSON.
    Text(Hole),
    /// A value of JSON: a number, a string in its quotes, or `null`.
    Typed(Hole),
}

impl Form {
    pub(super) fn compile(lines: Lines) -> Self {
        let mut wanted = Wanted::default();
        match lines {
            Lines::Text => Self::Text,
            Lines::Json => Self::Json,
            Lines::Template(Template::Text(parts)) => {
                let mut pieces = Pieces::default();
                for part in parts {
                    match part {
                        Part::Literal(text) => pieces.fixed(text.as_bytes()),
                        Part::Of(expression) => pieces.0.push(Piece::Text(Hole::compile(expression, &mut wanted))),
                    }
                }
                pieces.fixed(b"\n");
                Self::TextTemplate(pieces.0, wanted)
            }
            Lines::Template(Template::Json(fields)) => {
                let mut pieces = Pieces::default();
                pieces.object(fields, &mut wanted);
                pieces.fixed(b"\n");
                Self::JsonTemplate(pieces.0, wanted)
            }
        }
    }

    /// What its lines tell of heads; nothing where they tell no more than the usual ones.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        match self {
            Self::Text | Self::Json => None,
            Self::TextTemplate(_, wanted) | Self::JsonTemplate(_, wanted) => Some(wanted.clone()),
        }
    }

    /// Whether its lines are JSON.
    pub(super) fn is_json(&self) -> bool {
        matches!(self, Self::Json | Self::JsonTemplate(..))
    }

    /// Appends a line.
    pub(super) fn write(&self, entry: &Entry, outcome: &Outcome, clock: &Clock, out: &mut Vec<u8>) {
        let (pieces, inside) = match self {
            Self::Text => return text::line(entry, outcome, clock, out),
            Self::Json => return json::line(entry, outcome, clock, out),
            Self::TextTemplate(pieces, _) => (pieces, Inside::Text),
            Self::JsonTemplate(pieces, _) => (pieces, Inside::Json),
        };
        let moment = Moment { entry, outcome, clock };
        for piece in pieces {
            match piece {
                Piece::Fixed(bytes) => out.extend_from_slice(bytes),
                Piece::Text(hole) => write(&hole.got(&moment), inside, out),
                Piece::Typed(hole) => match hole.got(&moment) {
                    Got::Nothing => out.extend_from_slice(b"null"),
                    Got::Number(value) => number::number(value, out),
                    got @ (Got::Word(_) | Got::Trace(_) | Got::Ours(_) | Got::Theirs(_)) => {
                        out.push(b'"');
                        write(&got, inside, out);
                        out.push(b'"');
                    }
                },
            }
        }
    }
}

fn write(got: &Got<'_>, inside: Inside, out: &mut Vec<u8>) {
    match got {
        Got::Nothing => out.push(b'-'),
        Got::Number(value) => number::number(*value, out),
        Got::Word(text) => escape(text.as_bytes(), inside, out),
        Got::Trace(digits) => out.extend_from_slice(digits),
        Got::Ours(bytes) => escape(bytes, inside, out),
        Got::Theirs(bytes) => escape(bytes, inside, out),
    }
}

/// Pieces in the making; what is fixed and comes one after the other is one.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn fixed(&mut self, bytes: &[u8]) {
        match self.0.last_mut() {
            Some(Piece::Fixed(before)) => before.extend_from_slice(bytes),
            Some(Piece::Text(_) | Piece::Typed(_)) | None => self.0.push(Piece::Fixed(bytes.to_vec())),
        }
    }

    fn object(&mut self, fields: Vec<(String, Value)>, wanted: &mut Wanted) {
        let mut before = b'{';
        for (key, value) in fields {
            self.fixed(&[before]);
            before = b',';
            // A text always has a form in JSON.
            self.fixed(&serde_json::to_vec(&key).unwrap_or_default());
            self.fixed(b":");
            match value {
                Value::Object(fields) => self.object(fields, wanted),
                Value::One(expression) => self.0.push(Piece::Typed(Hole::compile(expression, wanted))),
                Value::Text(parts) => self.string(parts, wanted),
            }
        }
        self.fixed(b"}");
    }

    fn string(&mut self, parts: Vec<Part>, wanted: &mut Wanted) {
        self.fixed(b"\"");
        for part in parts {
            match part {
                Part::Literal(text) => {
                    let quoted = serde_json::to_vec(&text).unwrap_or_default();
                    self.fixed(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default());
                }
                Part::Of(expression) => self.0.push(Piece::Text(Hole::compile(expression, wanted))),
            }
        }
        self.fixed(b"\"");
    }
}

#[cfg(test)]
mod tests;
