//! The wiring: settings -> listeners -> workers -> configuration -> admin -> the end.

use crate::admin;
use crate::control::document::Document;
use std::path::PathBuf;
