//! Pieces of bytes in large pages: what state is made of, without an allocation for each.

/// Where a piece stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    page: u32,
    start: u32,
    length: u32,
}

impl Piece {
    /// The number of its bytes.
    pub(crate) fn len(self) -> usize {
        self.length as usize
    }
}

/// The first page's bytes; each next one has twice as many, up to [`LARGEST_PAGE`].
const FIRST_PAGE: usize = 1 << 10;
const LARGEST_PAGE: usize = 1 << 18;
/// Bytes of garbage below which it is not worth moving what lives.
const LITTLE_GARBAGE: usize = 1 << 16;

/// Bytes in pages. Nothing is moved until its owner asks for it, so a [`Piece`] stays good.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pages: Vec<Vec<u8>>,
    live: usize,
    garbage: usize,
}

impl Arena {
    /// Keeps a copy of the bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Piece {
        let fits = |page: &Vec<u8>| page.capacity() - page.len() >= bytes.len();
        if !self.pages.last().is_some_and(fits) {
            let next = FIRST_PAGE << self.pages.len().min(8);
            self.pages.push(Vec::with_capacity(next.min(LARGEST_PAGE).max(bytes.len())));
        }
        let page = self.pages.len() - 1;
        let start = self.pages[page].len();
        self.pages[page].extend_from_slice(bytes);
        self.live += bytes.len();
        Piece { page: page as u32, start: start as u32, length: bytes.len() as u32 }
    }

    /// The bytes of a piece.
    pub(crate) fn get(&self, piece: Piece) -> &[u8] {
        let Some(page) = self.pages.get(piece.page as usize) else { return &[] };
        &page[piece.start as usize..][..piece.length as usize]
    }

    /// Gives a piece up.
    pub(crate) fn remove(&mut self, piece: Piece) {
        self.live -= piece.len();
        self.garbage += piece.len();
    }

    /// Whether more of it is garbage than lives.
    pub(crate) fn is_wasteful(&self) -> bool {
        self.garbage > LITTLE_GARBAGE.max(self.live)
    }

    /// Moves the pieces that live to new pages and lets the old ones go.
    pub(crate) fn compact<'a>(&mut self, pieces: impl Iterator<Item = &'a mut Piece>) {
        let mut fresh = Self::default();
        for piece in pieces {
            if piece.length > 0 {
                *piece = fresh.add(self.get(*piece));
            }
        }
        *self = fresh;
    }
}
