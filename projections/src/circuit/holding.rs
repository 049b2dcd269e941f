//! What each view of a tenant holds in the circuit, and how it is let go.
//!
//! Views share operators. An operator counts for the first view that reads it, in the order of
//! their definition, among those that have not failed for the tenant; one inside an internal view
//! for the first view that reads that. So the views' shares add up to all that is held for the
//! tenant, and when a view fails what it shares with others passes to the next of them.

use super::{Circuit, NodeId};
use crate::{RuntimeError, Tenant};

impl Circuit {
    /// The bytes of a tenant's state in all operators.
    pub(crate) fn bytes(&self, tenant: Tenant) -> usize {
        self.nodes.iter().flat_map(|node| &node.operator).map(|o| o.bytes(tenant)).sum()
    }

    /// The same, view by view.
    pub(crate) fn bytes_by_view(&self, tenant: Tenant) -> Vec<usize> {
        let is_live: Vec<bool> = self.outputs.iter().map(|o| !o.told.contains(&tenant)).collect();
        let mut bytes = vec![0; self.outputs.len()];
        for node in &self.nodes {
            let first = node.readers.iter().find(|view| is_live[**view]);
            if let (Some(view), Some(operator)) = (first, &node.operator) {
                bytes[*view] += operator.bytes(tenant);
            }
        }
        bytes
    }

    /// Notes that a view reads a node, and all that the node reads.
    pub(super) fn note_reader(&mut self, node: NodeId, view: usize) {
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            let node = &mut self.nodes[node];
            if node.readers.last() != Some(&view) {
                node.readers.push(view);
                waiting.extend(&node.inputs);
            }
        }
    }

    /// Gives a view of a tenant up, and those that read it. Answers the views that fail by it.
    pub(crate) fn fail(
        &mut self,
        tenant: Tenant,
        view: usize,
        error: &RuntimeError,
    ) -> Vec<(usize, RuntimeError)> {
        let node = self.outputs[view].node;
        // A view may show events as they are, and they are others' too.
        if self.nodes[node].operator.is_some() {
            self.nodes[node].failed.insert(tenant, error.clone());
        }
        for behind in node + 1..self.nodes.len() {
            let inputs = &self.nodes[behind].inputs;
            let fails = inputs.iter().any(|input| self.nodes[*input].failed.contains_key(&tenant));
            if fails {
                self.nodes[behind].failed.entry(tenant).or_insert_with(|| error.clone());
            }
        }
        let mut failed = Vec::new();
        for (place, output) in self.outputs.iter_mut().enumerate() {
            let fails = place == view || self.nodes[output.node].failed.contains_key(&tenant);
            if fails && output.told.insert(tenant) {
                failed.push((place, error.clone()));
            }
        }
        self.release(tenant, error);
        failed
    }

    /// Lets go of what only failed views of a tenant need, and shuts the tenant out of it.
    pub(super) fn release(&mut self, tenant: Tenant, error: &RuntimeError) {
        let outputs = &self.outputs;
        for node in &mut self.nodes {
            let is_needed = node.readers.iter().any(|view| !outputs[*view].told.contains(&tenant));
            if let (false, Some(operator)) = (is_needed, &mut node.operator) {
                operator.forget(tenant);
                node.failed.entry(tenant).or_insert_with(|| error.clone());
            }
        }
    }

    /// Lets all of a tenant go, failures too: what comes next for it is its first.
    pub(crate) fn forget(&mut self, tenant: Tenant) {
        for node in &mut self.nodes {
            node.failed.remove(&tenant);
            if let Some(operator) = &mut node.operator {
                operator.forget(tenant);
            }
        }
        for output in &mut self.outputs {
            output.told.remove(&tenant);
        }
        self.born.remove(&tenant);
    }
}
