//! Rows as bytes, one after the other.

/// Some rows as bytes.
#[derive(Debug, Default)]
pub(crate) struct ByteRows {
    data: Vec<u8>,
    /// The end of each row.
    ends: Vec<usize>,
}

impl ByteRows {
    /// Rows of these lengths that are all zeros, and where each begins.
    pub(crate) fn zeros(mut lengths: Vec<usize>) -> (Self, Vec<usize>) {
        let mut end = 0;
        let starts = lengths.iter_mut().map(|length| {
            let start = end;
            end += *length;
            *length = end;
            start
        });
        let starts = starts.collect();
        (Self { data: vec![0; end], ends: lengths }, starts)
    }

    /// The bytes of all rows.
    pub(crate) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of a row.
    pub(crate) fn row(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.data[start..self.ends[i]]
    }

    /// All rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.row(i))
    }
}
