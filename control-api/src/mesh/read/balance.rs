//! `balance:` of a service port.

use crate::mesh::model::ranges::CHOICES;
use crate::mesh::place::Place;
use crate::resource::cluster::Algorithm;
use std::num::NonZeroU32;

/// The words of `algorithm:`.
#[derive(Clone, Copy, PartialEq)]
enum Word {
    PeakEwma,
    LeastRequest,
    RoundRobin,
    Random,
}

const WORDS: [(&str, Word); 4] = [
    ("peak_ewma", Word::PeakEwma),
    ("least_request", Word::LeastRequest),
    ("round_robin", Word::RoundRobin),
    ("random", Word::Random),
];

/// How an endpoint is chosen; peak EWMA where nothing is said.
pub(super) fn algorithm(place: Option<&Place<'_>>) -> Algorithm {
    let Some(place) = place else { return Algorithm::PeakEwma };
    let fields = place.fields(&["algorithm", "choices"]);
    let word = fields
        .optional("algorithm")
        .and_then(|place| place.word(&WORDS))
        .unwrap_or(Word::PeakEwma);
    let choices = fields.optional("choices");
    if let Some(choices) = &choices
        && word != Word::LeastRequest
    {
        choices.refuse("belongs to the algorithm least_request only");
    }
    match word {
        Word::PeakEwma => Algorithm::PeakEwma,
        Word::RoundRobin => Algorithm::RoundRobin,
        Word::Random => Algorithm::Random,
        Word::LeastRequest => {
            let (least, most) = CHOICES.into_inner();
            let number = choices
                .and_then(|place| place.integer(least.into()..=most.into()))
                .unwrap_or(least.into());
            Algorithm::LeastRequest {
                choices: NonZeroU32::new(number as u32).unwrap_or(NonZeroU32::MIN),
            }
        }
    }
}
