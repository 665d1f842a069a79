use super::*;
use crate::resource::route::FieldName;

fn one(text: &str) -> Operator {
    match Value::parse(text) {
        Ok(Value::One(expression)) => expression.operator,
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn assert_refused(text: &str, at: usize, reason: &str) {
    let malformed = parse(text).expect_err(text);
    assert_eq!((malformed.at, malformed.reason.as_str()), (at, reason), "{text}");
}

#[test]
fn the_default_format_of_envoy_is_read() {
    let text = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% \
                %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \
                \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \
                \"%UPSTREAM_HOST%\"\n";
    let template = Template::Text(parse(text).unwrap());
    assert_eq!(template.expressions().len(), 15);
}

#[test]
fn text_and_operators_come_in_their_order_and_two_signs_are_one() {
    let parts = parse("100%% %DURATION%ms%REQ(a):3%").unwrap();
    let of = |operator, most| Part::Of(Expression { operator, most });
    let header = Header {
        of: HeaderOf::Request,
        first: FieldName::Field("a".parse().unwrap()),
        second: None,
    };
    assert_eq!(
        parts,
        [
            Part::Literal("100% ".to_owned()),
            of(Operator::Duration, None),
            Part::Literal("ms".to_owned()),
            of(Operator::Header(header), Some(3)),
        ]
    );
}

#[test]
fn the_parameter_of_a_time_may_hold_signs_and_parentheses() {
    let Operator::StartTime(TimeFormat::Parts(parts)) = one("%START_TIME((%F) %s.%3f%z)%") else {
        panic!("a time")
    };
    assert_eq!(parts.first(), Some(&TimePart::Literal("(".to_owned())));
    assert_eq!(parts.last(), Some(&TimePart::Offset));
    assert!(parts.contains(&TimePart::Fraction(3)) && parts.contains(&TimePart::Epoch));
    assert_eq!(one("%START_TIME%"), Operator::StartTime(TimeFormat::Rfc3339));
    assert_eq!(
        one("%START_TIME(%f)%"),
        Operator::StartTime(TimeFormat::Parts(vec![TimePart::Fraction(9)]))
    );
}

#[test]
fn every_name_that_is_listed_is_an_operator() {
    for name in NAMES {
        let found = [None, Some("a")].map(|parameter| Operator::named(name, parameter));
        assert!(found.iter().any(Result::is_ok), "{name}: {found:?}");
        assert!(!envoy::ONLY_ENVOY.contains(name), "{name}");
    }
}

#[test]
fn a_malformed_template_is_refused_with_its_place() {
    assert_refused(
        "ä %",
        3,
        "a % begins an operator, such as %DURATION%; the sign itself is %%",
    );
    assert_refused(
        "%duration%",
        1,
        "a % begins an operator, such as %DURATION%; the sign itself is %%",
    );
    assert_refused("a %DURATION", 3, "the % that ends %DURATION is missing");
    assert_refused("a %DURATION b%", 3, "the % that ends %DURATION is missing");
    assert_refused("%REQ(a%", 1, "the parenthesis of %REQ( is not closed");
    assert_refused("%REQ%", 1, "%REQ% needs a header in parentheses");
    assert_refused("%REQ(a b)%", 1, "\"a b\" is not the name of a header");
    assert_refused("%REQ(a):%", 1, "no length stands behind %REQ:");
    assert_refused("%DURATION:3%", 1, "%DURATION% takes no length");
    assert_refused("%DURATION(ms)%", 1, "%DURATION% takes no parameter");
    assert_refused(
        "ok %DURATON%",
        4,
        "%DURATON% is no operator; did you mean \"DURATION\"?",
    );
    assert_refused("%FROBNICATE%", 1, "%FROBNICATE% is no operator");
    assert_refused(
        "%GRPC_STATUS(ROMAN)%",
        1,
        "%GRPC_STATUS(ROMAN)% is not known; there may stand CAMEL_STRING, SNAKE_STRING, NUMBER",
    );
    assert_refused(
        "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(129)%",
        1,
        "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(129)% needs a number of bits from 0 to 128",
    );
    let malformed = parse("%START_TIME(%Q)%").unwrap_err();
    assert!(
        malformed.reason.starts_with("%Q is no part of a time; there are %Y "),
        "{malformed:?}"
    );
}

#[test]
fn what_only_envoy_has_is_refused_by_its_name() {
    for name in envoy::ONLY_ENVOY {
        let malformed = parse(&format!("x%{name}(a:b)%")).unwrap_err();
        assert_eq!(malformed.at, 2);
        assert_eq!(
            malformed.reason,
            format!("%{name}% is Envoy's, and this proxy does not have it")
        );
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_read_panics(text in "([%A-Z_]|\\(|\\)|:|[0-9]|\\PC|REQ|START_TIME|%3f){0,40}") {
        let _ = parse(&text);
    }
}
