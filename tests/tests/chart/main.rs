//! The chart as the real `helm` renders it, over a matrix of values: every manifest is what the API server would take, and
//! agrees with the programs.
//!
//! ```text
//! matrix       sets of values, each with a name
//! manifests    every object is of its Kubernetes type, and no field is lost
//! others       the same for types that are not Kubernetes' own
//! references   selectors, ports, volumes, accounts: what one object says of another
//! settings     the ConfigMap is the injector's settings file
//! options      what each value changes
//! rights       what the control plane may do
//! refusals     bad values, and what helm says of them
//! bounds       what the injector refuses of its settings is refused by helm, too
//! agreement    every flag is one that the program has
//! pages        the table of the chart's README, its notes
//! ```

mod agreement;
mod bounds;
mod manifests;
mod matrix;
mod options;
mod others;
mod pages;
mod references;
mod refusals;
mod rights;
mod settings;
