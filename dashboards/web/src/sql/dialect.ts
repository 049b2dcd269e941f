/** The SQL that the service takes, as far as an editor has to know it. */
import { SQLDialect } from '@codemirror/lang-sql';

/** Of statements that read; nothing else is taken. */
const KEYWORDS = `all and any as asc between by case cross current_date desc distinct else end except exists
explain false filter first following from full group grouping having ilike in inner intersect interval is
join last left like limit natural not null nulls offset on or order outer over partition preceding range
recursive right row rows select sets similar some then true unbounded union unnest using values when where
window with within`;

const TYPES = `bigint boolean bool char date decimal double float int integer numeric real smallint text
timestamp varchar`;

/** Functions by what they are for; the service has more. */
export const FUNCTIONS: Record<string, string> = {
  aggregate: `approx_distinct array_agg avg bool_and bool_or corr count first_value last_value max median min
    stddev string_agg sum var`,
  window: 'cume_dist dense_rank lag lead nth_value ntile percent_rank rank row_number',
  number: 'abs ceil exp floor greatest least ln log log10 mod power round sign sqrt trunc',
  text: `btrim char_length concat concat_ws ends_with initcap left length lower lpad ltrim regexp_like
    regexp_match regexp_replace repeat replace reverse right rpad rtrim split_part starts_with strpos substr
    trim upper`,
  time: `date_bin date_part date_trunc extract now to_char to_date to_timestamp`,
  other: 'cast coalesce nullif try_cast',
};

export function functionNames(): [name: string, kind: string][] {
  return Object.entries(FUNCTIONS).flatMap(([kind, names]) =>
    names.split(/\s+/).map((name): [string, string] => [name, kind]));
}

/** Words of the language, as they are written. */
export const wordsOfSql = `${KEYWORDS} ${TYPES}`.split(/\s+/).map((word) => word.toUpperCase());

const plain = (text: string) => text.replaceAll(/\s+/g, ' ');

export const dialect = SQLDialect.define({
  keywords: plain(KEYWORDS),
  types: plain(TYPES),
  builtin: functionNames().map(([name]) => name).join(' '),
  // So that `$1` is read as one thing.
  specialVar: '$',
  operatorChars: '+-*/<>=~!@#%^&|',
});
