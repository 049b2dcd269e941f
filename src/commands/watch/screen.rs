//! The terminal as a screen: drawn whole, left as it was found.

use console::{Style, Term, truncate_str};

use super::super::table::Table;
use super::super::{Failure, grouped, open_output};
use super::state::View;

/// Lines that are not rows: the title, the gap below it, the two of the table's head, the foot.
const FRAME_LINES: usize = 5;
/// Enters and leaves the alternate screen, where the cursor is hidden.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the top left; to clear the rest of a line, and of the screen.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// The screen of a view.
pub(super) struct Screen {
    name: String,
    term: Term,
}

impl Screen {
    /// Takes the screen.
    pub(super) fn open(name: &str) -> Result<Self, Failure> {
        let screen = Self { name: name.to_owned(), term: Term::buffered_stdout() };
        open_output(screen.term.write_str(ENTER).and_then(|()| screen.term.flush()))?;
        Ok(screen)
    }

    /// Draws as many rows as fit.
    pub(super) fn draw(&mut self, view: &View, state: &str) -> Result<bool, Failure> {
        let (height, width) = self.term.size();
        let fits = usize::from(height).saturating_sub(FRAME_LINES).max(1);
        let shown: Vec<_> = view.rows().take(fits).collect();
        let table = Table::new(view.columns().to_vec(), shown.iter().map(|(row, _)| *row));
        let count = grouped(view.len() as u64);
        let mut lines = vec![
            format!(
                "{}  {count} rows  {}",
                Style::new().bold().apply_to(&self.name),
                Style::new().dim().apply_to(state)
            ),
            String::new(),
        ];
        lines.extend(table.head());
        for (line, (_, changed)) in table.lines().zip(&shown) {
            lines.push(if *changed {
                Style::new().reverse().apply_to(line).to_string()
            } else {
                line
            });
        }
        if view.len() > shown.len() {
            lines.push(format!("and {} more", grouped((view.len() - shown.len()) as u64)));
        }
        let mut frame = String::from(HOME);
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(&truncate_str(line, usize::from(width), "…"));
            frame.push_str(CLEAR_LINE);
        }
        frame.push_str(CLEAR_BELOW);
        open_output(self.term.write_str(&frame).and_then(|()| self.term.flush()))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no tidying.
        let _gone = self.term.write_str(LEAVE).and_then(|()| self.term.flush());
    }
}
