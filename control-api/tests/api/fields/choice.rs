//! The fields of which a message holds one (`oneof`). In Rust they are the variants of an enum, in a module of the message's name.

use super::Treatment;
use super::decoder::Decoder;
use super::decoder::expression;
use super::decoder::full_name;
use super::decoder::snake;
use super::message::Message;

/// Fields of which a message holds one.
struct Choice {
    message: String,
    /// What the message calls it, such as `path_specifier`.
    name: String,
    file: String,
    /// Its fields, and how each is met.
    met: Vec<(String, Met)>,
}

/// How a field is met in one place.
enum Met {
    /// An arm of a `match`, which names all others too.
    Arm(Treatment),
    /// An `if`, `let` or `matches!`, which refuses all others.
    Only,
}

/// Puts fields into the places of the choices between them.
pub(super) fn add(messages: &mut Vec<Message>, decoders: &[Decoder]) {
    let mut choices: Vec<Choice> = Vec::new();
    for decoder in decoders {
        collect(decoder, &mut choices);
    }
    for choice in choices {
        let others = others(&choice, decoders);
        let mut fields: Vec<(String, Treatment)> = Vec::new();
        for (field, _) in &choice.met {
            if !fields.iter().any(|(known, _)| known == field) {
                let treatments = choice
                    .met
                    .iter()
                    .filter(|(other, _)| other == field)
                    .map(|(_, met)| met);
                fields.push((field.clone(), together(treatments)));
            }
        }
        fields.extend(others.map(|treatment| (format!("every other {}", choice.name), treatment)));
        if !messages.iter().any(|message| message.name == choice.message) {
            messages.push(Message {
                name: choice.message.clone(),
                whose: "",
                file: choice.file.clone(),
                fields: vec![(choice.name.clone(), Treatment::Used)],
                in_part: false,
            });
        }
        for message in messages.iter_mut().filter(|message| message.name == choice.message) {
            let place = message.fields.iter().position(|(field, _)| *field == choice.name);
            let place = place.unwrap_or_else(|| panic!("{} has no {}", choice.message, choice.name));
            message.fields.splice(place..=place, fields.iter().cloned());
        }
    }
}

fn collect(decoder: &Decoder, choices: &mut Vec<Choice>) {
    let variant = expression(r"\b((?:\w+::)*[A-Z]\w*)::([A-Z]\w*)\(");
    for found in variant.captures_iter(&decoder.text) {
        let Some(path) = decoder.generated(&found[1]).filter(|path| path.starts_with("envoy::")) else {
            continue;
        };
        let Some((module, last)) = path.rsplit_once("::") else {
            continue;
        };
        let (message, name) = (full_name(&format!("{module}::")), snake(last));
        let message = message.trim_end_matches('.').to_owned();
        let field = snake(&found[2]);
        let met = met(&decoder.text[found.get(0).expect("a match").end()..], &field);
        let known = choices
            .iter_mut()
            .find(|choice| choice.message == message && choice.name == name);
        match known {
            Some(choice) => choice.met.push((field, met)),
            None => choices.push(Choice {
                message,
                name,
                file: decoder.file.clone(),
                met: vec![(field, met)],
            }),
        }
    }
}

/// Reads on from behind the parenthesis of a variant.
fn met(text: &str, field: &str) -> Met {
    let end = text.find(')').expect("parentheses are closed");
    let (held, rest) = (text[..end].trim(), &text[end..]);
    let arm = rest.find("=>");
    let other = [";", " = ", "{"].iter().filter_map(|end| rest.find(end)).min();
    let Some(arm) = arm.filter(|arm| other.is_none_or(|other| *arm < other)) else {
        return Met::Only;
    };
    Met::Arm(of_arm(held, body(rest[arm + 2..].trim_start()), field))
}

fn body(text: &str) -> &str {
    let mut depth = 0;
    for (place, letter) in text.char_indices() {
        match letter {
            ',' if depth == 0 => return &text[..place],
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => {
                depth -= 1;
                if depth < 0 || (depth == 0 && letter == '}' && text.starts_with('{')) {
                    return &text[..=place];
                }
            }
            _ => {}
        }
    }
    text
}

fn of_arm(held: &str, body: &str, field: &str) -> Treatment {
    for value in ["true", "false"] {
        if body.contains(&format!("refuse_field(\"{field}\", \"cannot be {value}\")")) {
            return Treatment::Partly(format!("not `{value}`"));
        }
    }
    let looked_at = held != "_" && (body.contains("if ") || !body.contains(&format!("refuse_field(\"{field}\"")));
    let only_value = held == "true" || held == "false";
    if body.contains("note_field") {
        Treatment::Noted
    } else if looked_at && !(only_value && body.contains("report.refuse")) {
        Treatment::Used
    } else if body.contains("report.refuse") || body == "None" {
        Treatment::Refused
    } else {
        Treatment::Used
    }
}

/// A field is used if it is anywhere, and refused if it is everywhere.
fn together<'a>(met: impl Iterator<Item = &'a Met>) -> Treatment {
    let mut together = Treatment::Refused;
    for met in met {
        match met {
            Met::Only | Met::Arm(Treatment::Used | Treatment::PassedOver) if together == Treatment::Refused => {
                together = Treatment::Used;
            }
            Met::Arm(treatment @ (Treatment::Partly(_) | Treatment::Noted)) => together = treatment.clone(),
            Met::Only | Met::Arm(_) => {}
        }
    }
    together
}

/// What becomes of the fields that the decoders do not name.
fn others(choice: &Choice, decoders: &[Decoder]) -> Option<Treatment> {
    let noted = format!("note_if_set(\"{}\"", choice.name);
    if decoders.iter().any(|decoder| decoder.text.contains(&noted)) {
        return Some(Treatment::Noted);
    }
    let named = choice.met.iter().any(|(_, met)| matches!(met, Met::Arm(_)));
    (!named).then_some(Treatment::Refused)
}
