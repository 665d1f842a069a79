//! `RouteMatch`: which requests a route is for.

use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::matcher;
use crate::resource::matcher::Pattern;
use crate::resource::matcher::StringMatch;
use crate::resource::matcher::TextTest;
use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::route::v3 as proto;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use http::HeaderName;
use proto::header_matcher::HeaderMatchSpecifier;
use proto::query_parameter_matcher::QueryParameterMatchSpecifier;
use proto::route_match::PathSpecifier;

/// What a request must be; all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteMatch {
    /// Its path, without the query.
    pub path: PathMatch,
    /// Whether `A` and `a` are the same in the path; without effect on expressions.
    pub ignore_case: bool,
    /// Its fields.
    pub headers: Vec<HeaderMatch>,
    /// Its query.
    pub query: Vec<QueryMatch>,
    /// It is gRPC's.
    pub grpc: bool,
    /// It is one of so many; `None`: all.
    pub fraction: Option<Fraction>,
}

/// What the path must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// `prefix`: it begins with this. `/` or nothing is everything, `*` and a CONNECT's authority included.
    Prefix(String),
    /// `path`: it is this.
    Exact(String),
    /// `path_separated_prefix`: it is this, or begins with this and a slash.
    Segments(String),
    /// `safe_regex`: all of it matches.
    Regex(Pattern),
    /// `connect_matcher`: there is none, for the method is CONNECT.
    Connect,
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Which.
    pub name: FieldName,
    /// Its values, joined with commas.
    pub test: ValueTest,
    /// The test has to fail.
    pub invert: bool,
    /// A field that is not there is tested as an empty one; else it fails, inverted or not.
    pub missing_is_empty: bool,
}

/// A field, or what has a name like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldName {
    /// `:method`.
    Method,
    /// `:path`, with the query.
    Path,
    /// `:authority`, which is also what `host` means.
    Authority,
    /// `:scheme`.
    Scheme,
    /// Any other.
    Field(HeaderName),
}

/// What the value of a field must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueTest {
    /// There, or not there.
    Present(bool),
    /// Such a text.
    Text(StringMatch),
    /// A decimal number.
    Range {
        /// At least this.
        from: i64,
        /// Less than this.
        below: i64,
    },
}

/// What a parameter of the query must be; the first of its name counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryMatch {
    /// As it stands in the query.
    pub name: String,
    /// Its value, as it stands in the query; `None`: any, also none.
    pub test: Option<StringMatch>,
}

/// A share of requests: `numerator` of `denominator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    /// Less than the denominator.
    pub numerator: u32,
    /// More than nothing.
    pub denominator: u32,
}

/// Decodes what a route is for.
pub(super) fn route_match(message: Option<proto::RouteMatch>, report: &mut Report) -> Option<RouteMatch> {
    let Some(message) = message else {
        report.refuse("is missing");
        return None;
    };
    let proto::RouteMatch {
        case_sensitive,
        runtime_fraction,
        headers,
        query_parameters,
        cookies,
        grpc,
        tls_context,
        dynamic_metadata,
        filter_state,
        path_specifier,
    } = message;
    refuse_set!(report; cookies, tls_context, dynamic_metadata, filter_state);
    let headers = report.each("headers", headers, header);
    let query = report.each("query_parameters", query_parameters, query_parameter);
    let fraction =
        runtime_fraction.and_then(|message| report.within("runtime_fraction", |report| fraction(message, report)));
    Some(RouteMatch {
        path: path(path_specifier, report)?,
        ignore_case: case_sensitive.is_some_and(|sensitive| !sensitive.value),
        headers,
        query,
        grpc: grpc.is_some(),
        fraction,
    })
}

fn path(specifier: Option<PathSpecifier>, report: &mut Report) -> Option<PathMatch> {
    match specifier {
        Some(PathSpecifier::Prefix(prefix)) => absolute("prefix", prefix, report).map(PathMatch::Prefix),
        Some(PathSpecifier::Path(path)) => absolute("path", path, report).map(PathMatch::Exact),
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => {
            if prefix.ends_with('/') {
                report.refuse_field("path_separated_prefix", format!("{prefix:?} ends with \"/\""));
                return None;
            }
            let prefix = matcher::some_text("path_separated_prefix", prefix, report)?;
            absolute("path_separated_prefix", prefix, report).map(PathMatch::Segments)
        }
        Some(PathSpecifier::SafeRegex(message)) => {
            let pattern = report.within("safe_regex", |report| matcher::pattern(message, report));
            pattern.map(PathMatch::Regex)
        }
        Some(PathSpecifier::ConnectMatcher(proto::route_match::ConnectMatcher {})) => Some(PathMatch::Connect),
        Some(PathSpecifier::PathMatchPolicy(_)) => {
            report.refuse_field("path_match_policy", "is not supported");
            None
        }
        None => {
            report.refuse("says nothing of the path");
            None
        }
    }
}

/// A path that some path can begin with: not one that no request has.
fn absolute(field: &str, path: String, report: &mut Report) -> Option<String> {
    if !path.is_empty() && !path.starts_with('/') {
        report.refuse_field(field, format!("{path:?} does not begin with \"/\""));
        return None;
    }
    if path.contains(['?', '#']) {
        report.refuse_field(field, format!("{path:?} holds a query or a fragment, and no path does"));
        return None;
    }
    Some(path)
}

fn header(message: proto::HeaderMatcher, report: &mut Report) -> Option<HeaderMatch> {
    let proto::HeaderMatcher {
        name,
        invert_match,
        treat_missing_header_as_empty,
        header_match_specifier,
    } = message;
    let name = field_name("name", &name, report);
    let test = header_match_specifier.map_or(Some(ValueTest::Present(true)), |test| value_test(test, report));
    Some(HeaderMatch {
        name: name?,
        test: test?,
        invert: invert_match,
        missing_is_empty: treat_missing_header_as_empty,
    })
}

/// A field, or what has a name like one.
pub(super) fn field_name(field: &str, name: &str, report: &mut Report) -> Option<FieldName> {
    match name.to_ascii_lowercase().as_str() {
        ":method" => Some(FieldName::Method),
        ":path" => Some(FieldName::Path),
        ":authority" | "host" => Some(FieldName::Authority),
        ":scheme" => Some(FieldName::Scheme),
        name => {
            let known = HeaderName::from_bytes(name.as_bytes());
            if known.is_err() {
                report.refuse_field(field, format!("{name:?} is not the name of a field"));
            }
            known.ok().map(FieldName::Field)
        }
    }
}

#[expect(deprecated, reason = "what is deprecated means what it meant")]
fn value_test(specifier: HeaderMatchSpecifier, report: &mut Report) -> Option<ValueTest> {
    let test = match specifier {
        HeaderMatchSpecifier::PresentMatch(present) => return Some(ValueTest::Present(present)),
        HeaderMatchSpecifier::RangeMatch(range) => {
            return Some(ValueTest::Range {
                from: range.start,
                below: range.end,
            });
        }
        HeaderMatchSpecifier::StringMatch(message) => {
            let text = report.within("string_match", |report| matcher::string(message, report));
            return text.map(ValueTest::Text);
        }
        HeaderMatchSpecifier::ExactMatch(text) => TextTest::Exact(text),
        HeaderMatchSpecifier::PrefixMatch(text) => TextTest::Prefix(matcher::some_text("prefix_match", text, report)?),
        HeaderMatchSpecifier::SuffixMatch(text) => TextTest::Suffix(matcher::some_text("suffix_match", text, report)?),
        HeaderMatchSpecifier::ContainsMatch(text) => {
            TextTest::Contains(matcher::some_text("contains_match", text, report)?)
        }
        HeaderMatchSpecifier::SafeRegexMatch(message) => {
            TextTest::Regex(report.within("safe_regex_match", |report| matcher::pattern(message, report))?)
        }
    };
    Some(ValueTest::Text(StringMatch {
        test,
        ignore_case: false,
    }))
}

fn query_parameter(message: proto::QueryParameterMatcher, report: &mut Report) -> Option<QueryMatch> {
    let proto::QueryParameterMatcher {
        name,
        query_parameter_match_specifier,
    } = message;
    let name = matcher::some_text("name", name, report);
    let test = match query_parameter_match_specifier {
        None | Some(QueryParameterMatchSpecifier::PresentMatch(true)) => None,
        Some(QueryParameterMatchSpecifier::PresentMatch(false)) => {
            report.refuse_field("present_match", "cannot be false");
            return None;
        }
        Some(QueryParameterMatchSpecifier::StringMatch(message)) => {
            Some(report.within("string_match", |report| matcher::string(message, report))?)
        }
    };
    Some(QueryMatch { name: name?, test })
}

/// `None` for all requests, too.
fn fraction(message: RuntimeFractionalPercent, report: &mut Report) -> Option<Fraction> {
    let RuntimeFractionalPercent {
        default_value,
        runtime_key,
    } = message;
    // There is no runtime: the default holds.
    note_set!(report; runtime_key);
    let Some(FractionalPercent { numerator, denominator }) = default_value else {
        report.refuse_field("default_value", "is missing");
        return None;
    };
    let denominator = match DenominatorType::try_from(denominator) {
        Ok(DenominatorType::Hundred) => 100,
        Ok(DenominatorType::TenThousand) => 10_000,
        Ok(DenominatorType::Million) => 1_000_000,
        Err(_) => {
            report.refuse_field("default_value.denominator", format!("{denominator} is not known"));
            return None;
        }
    };
    (numerator < denominator).then_some(Fraction { numerator, denominator })
}
