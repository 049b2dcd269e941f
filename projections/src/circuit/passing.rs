//! Whether a circuit may stand for a query that is followed: whether it costs what changes, and gives
//! to the last digit what the query would.

use arrow::datatypes::{DataType, Field};

use super::Circuit;

impl Circuit {
    /// Whether a change may have it compute anew what is not changed, so that it costs the engine about
    /// what the query would.
    pub(crate) fn recomputes(&self) -> bool {
        let mut one_row: Vec<bool> = Vec::with_capacity(self.nodes.len());
        let mut recomputes = false;
        for (id, node) in self.nodes.iter().enumerate() {
            // They stand before the node.
            let inputs: Vec<bool> = node.inputs.iter().map(|input| one_row[*input]).collect();
            let operator = node.operator.as_ref();
            recomputes |= operator.is_some_and(|operator| operator.recomputes(&inputs));
            let is_birth = self.births == Some(id);
            one_row.push(operator.map_or(is_birth, |operator| operator.is_one_row(&inputs)));
        }
        recomputes
    }

    /// Whether it has floats on the way: they are rounded at every step, and the steps have no order.
    pub(crate) fn has_floats(&self) -> bool {
        let computed = self.nodes.iter().filter(|node| node.operator.is_some());
        computed.flat_map(|node| node.schema.fields()).any(|field| is_float(field))
    }
}

fn is_float(field: &Field) -> bool {
    match field.data_type() {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => is_float(item),
        DataType::Struct(fields) => fields.iter().any(|field| is_float(field)),
        // Of the others what is in them is not looked at.
        other => other.is_floating() || other.is_nested(),
    }
}
