//! An operator that passes its input's batches on, changed in nothing but their form or pace.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// What is done to a stream of batches.
pub(super) type Pass = fn(SendableRecordBatchStream, &TaskContext) -> SendableRecordBatchStream;

/// Passes its input on.
#[derive(Debug)]
pub(super) struct PassingExec {
    name: &'static str,
    input: Arc<dyn ExecutionPlan>,
    pass: Pass,
}

impl PassingExec {
    pub(super) fn of(
        name: &'static str,
        input: Arc<dyn ExecutionPlan>,
        pass: Pass,
    ) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { name, input, pass })
    }
}

impl DisplayAs for PassingExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl ExecutionPlan for PassingExec {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Self::of(self.name, input, self.pass)),
            _ => datafusion::common::internal_err!("{} has one input", self.name),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        Ok((self.pass)(self.input.execute(partition, Arc::clone(&context))?, &context))
    }
}
