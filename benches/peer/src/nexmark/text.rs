//! Rows as text, fields parted by tabs.

use dbsp::utils::{Tup1, Tup2, Tup3, Tup4, Tup5, Tup6, Tup7, Tup8, Tup9, Tup10};

/// Something that a row is made of.
pub(crate) trait Text {
    /// Adds it to `row`, behind a tab.
    fn write(&self, row: &mut String);
}

impl Text for i64 {
    fn write(&self, row: &mut String) {
        row.push('\t');
        row.push_str(&self.to_string());
    }
}

impl Text for String {
    fn write(&self, row: &mut String) {
        row.push('\t');
        row.push_str(self);
    }
}

macro_rules! tuples {
    ($($tuple:ident($($field:ident),*);)*) => {
        $(impl<$($field: Text),*> Text for $tuple<$($field),*> {
            fn write(&self, row: &mut String) {
                #[allow(non_snake_case)]
                let Self($($field),*) = self;
                $($field.write(row);)*
            }
        })*
    };
}

tuples! {
    Tup1(A);
    Tup2(A, B);
    Tup3(A, B, C);
    Tup4(A, B, C, D);
    Tup5(A, B, C, D, E);
    Tup6(A, B, C, D, E, F);
    Tup7(A, B, C, D, E, F, G);
    Tup8(A, B, C, D, E, F, G, H);
    Tup9(A, B, C, D, E, F, G, H, I);
    Tup10(A, B, C, D, E, F, G, H, I, J);
}

/// A row of tenant 0.
pub(crate) fn text<T: Text>(row: &T) -> String {
    let mut text = String::from("0");
    row.write(&mut text);
    text
}
