//! Templates of the access log: text with Envoy's `%OPERATOR(PARAMETER):LENGTH%`, read once into a closed list.
//!
//! ```text
//! operator   what may stand between two %      time   the parameter of START_TIME
//! header     the parameter of REQ and others   envoy  what Envoy has and we do not
//! ```
//!
//! To add an operator: a variant of [`Operator`] and its name in `operator.rs`; the compiler names the place in the proxy
//! that writes it. A row in `docs/access-log.md`; a test asks for it.

mod envoy;
mod header;
mod operator;
#[cfg(test)]
mod tests;
mod time;

pub use header::{Header, HeaderOf};
pub use operator::{AddressForm, Fallback, GrpcForm, NAMES, Operator, Whose};
pub use time::{TimeFormat, TimePart};

/// What a line is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// Text.
    Text(Vec<Part>),
    /// An object.
    Json(Vec<(String, Value)>),
}

/// A value of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An object in the object.
    Object(Vec<(String, Value)>),
    /// One operator and nothing else: numbers stay numbers, and nothing is `null`.
    One(Expression),
    /// Text.
    Text(Vec<Part>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// As it stands.
    Literal(String),
    /// What an operator gives.
    Of(Expression),
}

/// An operator, and how much of what it gives is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// What is asked for.
    pub operator: Operator,
    /// Letters of it at most; `None`: all.
    pub most: Option<usize>,
}

/// Why a template is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The letter of the text where it is, counted from 1.
    pub at: usize,
    /// What is wrong, without a full stop.
    pub reason: String,
}

impl Value {
    /// A text of an object.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = parse(text)?;
        Ok(match parts.pop() {
            Some(Part::Of(expression)) if parts.is_empty() => Self::One(expression),
            last => {
                parts.extend(last);
                Self::Text(parts)
            }
        })
    }
}

impl Template {
    /// Everything that it asks for.
    pub fn expressions(&self) -> Vec<&Expression> {
        let mut found = Vec::new();
        match self {
            Self::Text(parts) => of_parts(parts, &mut found),
            Self::Json(fields) => of_fields(fields, &mut found),
        }
        found
    }
}

fn of_parts<'a>(parts: &'a [Part], found: &mut Vec<&'a Expression>) {
    found.extend(parts.iter().filter_map(|part| match part {
        Part::Of(expression) => Some(expression),
        Part::Literal(_) => None,
    }));
}

fn of_fields<'a>(fields: &'a [(String, Value)], found: &mut Vec<&'a Expression>) {
    for (_, value) in fields {
        match value {
            Value::Object(fields) => of_fields(fields, found),
            Value::One(expression) => found.push(expression),
            Value::Text(parts) => of_parts(parts, found),
        }
    }
}

/// Reads a text. `%%` is a per cent sign.
pub fn parse(text: &str) -> Result<Vec<Part>, Malformed> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        literal.push_str(before);
        let at = text[..text.len() - after.len()].chars().count();
        if let Some(after) = after.strip_prefix('%') {
            literal.push('%');
            rest = after;
            continue;
        }
        let (expression, after) = expression(after).map_err(|reason| Malformed { at, reason })?;
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(Part::Of(expression));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

/// What begins behind a `%`, and what follows the `%` that ends it.
fn expression(text: &str) -> Result<(Expression, &str), String> {
    let end = text
        .find(|letter: char| !(letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err("a % begins an operator, such as %DURATION%; the sign itself is %%".to_owned());
    }
    let (parameter, rest) = match rest.strip_prefix('(') {
        None => (None, rest),
        Some(rest) => {
            let end = end_of_parameter(rest).ok_or_else(|| format!("the parenthesis of %{name}( is not closed"))?;
            (Some(&rest[..end]), &rest[end + 1..])
        }
    };
    let (most, rest) = match rest.strip_prefix(':') {
        None => (None, rest),
        Some(rest) => {
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            let length = rest[..end]
                .parse()
                .map_err(|_| format!("no length stands behind %{name}:"))?;
            (Some(length), &rest[end..])
        }
    };
    let rest = rest
        .strip_prefix('%')
        .ok_or_else(|| format!("the % that ends %{name} is missing"))?;
    let operator = Operator::named(name, parameter)?;
    if most.is_some() && !operator.may_be_cut() {
        return Err(format!("%{name}% takes no length"));
    }
    Ok((Expression { operator, most }, rest))
}

/// The first parenthesis that ends the operator, too: a parameter may have others.
fn end_of_parameter(text: &str) -> Option<usize> {
    text.match_indices(')').map(|(at, _)| at).find(|at| {
        let after = &text[at + 1..];
        let after = after.strip_prefix(':').map_or(after, |length| {
            length.trim_start_matches(|letter: char| letter.is_ascii_digit())
        });
        after.starts_with('%')
    })
}
