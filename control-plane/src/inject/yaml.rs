//! YAML as values.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// As YAML that readers of every version of it take alike.
pub(crate) fn write(value: &impl Serialize) -> String {
    // By way of a value: what is written is then the same whatever the types' own form.
    let value = serde_json::to_value(value).expect("keys are texts, and numbers are finite");
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX, min_fold_chars: usize::MAX };
    serde_saphyr::to_string_with_options(&value, options).expect("values without numbers beyond 64 bits are YAML")
}

/// One document. `Err`: what is wrong and where, in a line.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let read = serde_saphyr::from_str::<Value>(text).map_err(|error| one_line(&error))?;
    serde_json::from_value(read).map_err(|error| error.to_string())
}

/// All documents of a text.
pub(crate) fn read_all(text: &str) -> Result<Vec<Value>, String> {
    serde_saphyr::from_multiple(text).map_err(|error| one_line(&error))
}

fn one_line(error: &serde_saphyr::Error) -> String {
    error.without_snippet().to_string().replace('\n', " ")
}
