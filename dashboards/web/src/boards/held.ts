/** Rows as widgets read them: with their columns, at one moment. */
import type { Row } from '../lib/protocol';
import type { Columns } from '../lib/rows';

export interface Held {
  columns: Columns;
  /** The columns that name a row; none where a row may be there several times. */
  key: readonly string[];
  rows: readonly Row[];
  /** The currency of amounts beside which no column names one, where that is known. */
  own?: string | undefined;
}
