//! Where a text stands in the files of a folder.

use std::io::{Error, ErrorKind};
use std::path::Path;

use arrow::array::cast::AsArray;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The files below a folder that have the text in them or in their names; those of Parquet, whose
/// pages are compressed, also in their rows. The folder may be in use: what goes meanwhile is gone.
pub(crate) fn traces(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in there(std::fs::read_dir(folder)).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().as_encoded_bytes();
        if has(name, text) {
            found.push(path.display().to_string());
        }
        if path.is_dir() {
            found.extend(traces(&path, text));
        } else if let Some(bytes) = there(std::fs::read(&path))
            && (has(&bytes, text) || is_in_rows(&path, bytes, text))
        {
            found.push(path.display().to_string());
        }
    }
    found
}

fn there<T>(read: Result<T, Error>) -> Option<T> {
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        read => Some(read.unwrap()),
    }
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

fn is_in_rows(path: &Path, bytes: Vec<u8>, text: &str) -> bool {
    if path.extension().is_none_or(|extension| extension != "parquet") {
        return false;
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    reader.build().unwrap().any(|rows| {
        let rows = rows.unwrap();
        let texts = rows.columns().iter().filter_map(|column| column.as_string_opt::<i32>());
        let mut values = texts.flat_map(|texts| texts.iter().flatten());
        values.any(|value| has(value.as_bytes(), text))
    })
}
