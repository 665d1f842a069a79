//! Fields that are added and removed.

use super::addition;
use super::configuration;
use super::decode;
use super::decoded;
use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::google::protobuf::BoolValue;
use evenkeel_control_api::resource::route::AppendAction;
use evenkeel_control_api::resource::route::HeaderMutations;
use evenkeel_control_api::resource::route::LastWord;
use evenkeel_control_api::resource::route::Ports;

#[test]
#[expect(deprecated, reason = "what is deprecated means what it meant")]
fn fields_are_added_as_they_are_asked_for() {
    let action = |action: HeaderAppendAction| HeaderValueOption {
        append_action: action as i32,
        ..addition("X-A", "b")
    };
    let append = |value| HeaderValueOption {
        append: Some(BoolValue { value }),
        ..addition("X-A", "b")
    };
    let kept = HeaderValueOption {
        keep_empty_value: true,
        ..addition("x-a", "")
    };
    let mut message = configuration(Vec::new());
    message.most_specific_header_mutations_wins = true;
    message.ignore_port_in_host_matching = true;
    message.request_headers_to_remove = vec!["X-B".to_owned()];
    message.request_headers_to_add = vec![
        addition("X-A", "100%%"),
        action(HeaderAppendAction::AddIfAbsent),
        action(HeaderAppendAction::OverwriteIfExistsOrAdd),
        action(HeaderAppendAction::OverwriteIfExists),
        append(true),
        append(false),
        addition("x-a", ""),
        kept,
    ];
    let found = decoded(&message);
    let HeaderMutations { remove, add } = &found.mutations.request;
    assert_eq!(remove.iter().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-b"]);
    let actions: Vec<_> = add.iter().map(|addition| addition.action).collect();
    assert_eq!(
        actions,
        [
            AppendAction::Append,
            AppendAction::AddIfAbsent,
            AppendAction::Overwrite,
            AppendAction::OverwriteIfPresent,
            AppendAction::Append,
            AppendAction::Overwrite,
            AppendAction::Append,
        ]
    );
    assert!(add.iter().all(|addition| addition.name == "x-a"));
    assert_eq!(
        (&add[0].value, add[6].value.as_bytes()),
        (&"100%".parse().expect("a value"), &b""[..])
    );
    assert_eq!((found.last_word, found.ports), (LastWord::MostSpecific, Ports::Ignored));
}

#[test]
fn fields_that_frame_a_message_and_values_that_are_computed_are_refused() {
    let mut message = configuration(Vec::new());
    message.response_headers_to_remove = vec!["Content-Length".to_owned(), ":status".to_owned()];
    message.request_headers_to_add = vec![
        addition("Host", "a"),
        addition("x-a", "%DOWNSTREAM_REMOTE_ADDRESS%"),
        addition("x-a", "%REQ(:path)%"),
        addition("x-a", "50%"),
        addition("x-a", "a\nb"),
    ];
    assert_eq!(
        decode(&message).expect_err("faults"),
        [
            "request_headers_to_add[0].header.key: \"Host\" cannot be changed",
            "request_headers_to_add[1].header.value: the operator %DOWNSTREAM_REMOTE_ADDRESS% is not supported",
            "request_headers_to_add[2].header.value: the operator %REQ% is not supported",
            "request_headers_to_add[3].header.value: a percent sign is written %%",
            "request_headers_to_add[4].header.value: holds a control byte",
            "response_headers_to_remove[0]: \"Content-Length\" cannot be changed",
            "response_headers_to_remove[1]: \":status\" is not the name of a field that can be changed",
        ]
    );
}
