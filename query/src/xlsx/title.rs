//! The sheet beside the rows: whose they are, what they are called, and as of when.

use rust_xlsxwriter::{Format, Workbook};

use super::failed;
use crate::QueryError;

/// What the sheet is called.
const NAME: &str = "About";
/// How wide its columns are, in characters.
const WIDTHS: [u16; 2] = [18, 60];
/// The row of the first fact.
const FACTS: u32 = 3;

/// What is said about a file's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TitleSheet {
    /// Whose they are.
    pub firm: String,
    /// The colour in which that is written: red, green and blue as in `0x0b_6b_75`.
    pub colour: Option<u32>,
    /// What they are called.
    pub title: String,
    /// What is known of them beside that, each with its name.
    pub facts: Vec<(&'static str, String)>,
}

impl TitleSheet {
    /// Adds it behind the sheets that are there, so that programs which read the first one find the
    /// rows.
    pub(super) fn add(&self, workbook: &mut Workbook) -> Result<(), QueryError> {
        let sheet = workbook.add_worksheet();
        sheet.set_name(NAME).map_err(failed)?;
        for (column, width) in (0..).zip(WIDTHS) {
            sheet.set_column_width(column, width).map_err(failed)?;
        }
        let mut large = Format::new().set_bold().set_font_size(16);
        if let Some(colour) = self.colour {
            large = large.set_font_color(colour);
        }
        sheet.write_string_with_format(0, 0, &self.firm, &large).map_err(failed)?;
        let bold = Format::new().set_bold();
        sheet.write_string_with_format(1, 0, &self.title, &bold).map_err(failed)?;
        for (row, (name, value)) in (FACTS..).zip(&self.facts) {
            sheet.write_string(row, 0, *name).map_err(failed)?;
            sheet.write_string(row, 1, value).map_err(failed)?;
        }
        Ok(())
    }
}
