//! `request_headers:` and `response_headers:`.

use crate::mesh::model::Field;
use crate::mesh::model::HeaderChanges;
use crate::mesh::place::Place;
use crate::resource::route::changeable;
use http::HeaderValue;

/// What changes; nothing where nothing is said.
pub(super) fn changes(place: Option<&Place<'_>>) -> HeaderChanges {
    let Some(place) = place else {
        return HeaderChanges::default();
    };
    let fields = place.fields(&["set", "add", "remove"]);
    let some = |key| {
        fields
            .optional(key)
            .map(|place| place.items().filter_map(|place| field(&place)).collect())
    };
    let remove = fields.optional("remove");
    HeaderChanges {
        set: some("set").unwrap_or_default(),
        add: some("add").unwrap_or_default(),
        remove: remove
            .map(|place| place.items().filter_map(|place| name(&place)).collect())
            .unwrap_or_default(),
    }
}

fn field(place: &Place<'_>) -> Option<Field> {
    let fields = place.fields(&["name", "value"]);
    let name = fields.required("name").and_then(|place| name(&place));
    let value = fields.required("value").and_then(|place| {
        let value = place.text()?;
        if HeaderValue::from_str(value).is_err() {
            place.refuse("holds what no value of a field may");
        }
        Some(value.to_owned())
    });
    Some(Field {
        name: name?,
        value: value?,
    })
}

fn name(place: &Place<'_>) -> Option<String> {
    let name = place.text()?;
    match changeable(name) {
        Ok(_) => Some(name.to_owned()),
        Err(reason) => {
            place.refuse(reason);
            None
        }
    }
}
