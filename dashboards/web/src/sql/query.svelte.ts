/** One query at a time: asked, received piece by piece, called off. */
import { call } from '../lib/api';
import { AnswerRows } from '../lib/answer_rows';
import { problemOf } from '../lib/download.svelte';
import { Refused } from '../lib/live';
import type { Column, Problem, Row } from '../lib/protocol';
import type { Asked, Question } from './notebook';
import { questionBody } from './parameters';

/** Rows that the page keeps of an answer; a download has all. */
export const MOST_ROWS = 100_000;

export interface Answer {
  question: Question;
  columns: readonly Column[];
  rows: readonly Row[];
  /** Whether these are all rows. */
  isWhole: boolean;
  position: string | null;
  asOf: string | null;
  /** From the question to the last row, in milliseconds. */
  took: number;
}

export interface Failure {
  question: Question;
  problem: Problem;
}

export class Query {
  /** Since when a query runs, milliseconds of the epoch; null while none does. */
  since = $state<number | null>(null);
  /** What has come of the one that runs. */
  received = $state(0);
  answer = $state.raw<Answer | null>(null);
  failure = $state.raw<Failure | null>(null);
  isCancelled = $state(false);
  #abort = new AbortController();

  constructor(
    private readonly token: string,
    private readonly onend: (asked: Asked) => void,
    private readonly onrefused: (error: Refused) => void,
  ) {}

  async run(question: Question): Promise<void> {
    this.cancel();
    const abort = new AbortController();
    this.#abort = abort;
    const began = performance.now();
    [this.since, this.received, this.failure, this.isCancelled] = [Date.now(), 0, null, false];
    const took = () => Math.round(performance.now() - began);
    let outcome: Asked['outcome'] = 'done';
    try {
      const answer = await this.#ask(question, abort);
      abort.signal.throwIfAborted();
      this.answer = { ...answer, took: took() };
    } catch (error) {
      outcome = abort.signal.aborted ? 'cancelled' : 'failed';
      if (error instanceof Refused) return this.onrefused(error);
      if (outcome === 'failed') [this.failure, this.answer] = [{ question, problem: problemOf(error) }, null];
    } finally {
      if (this.#abort === abort) this.since = null;
    }
    const rows = outcome === 'done' ? this.answer?.rows.length ?? 0 : null;
    this.onend({ ...question, at: Date.now(), outcome, rows, took: took() });
  }

  /** The service ends a query whose reader goes away. */
  cancel(): void {
    if (this.since === null) return;
    this.#abort.abort();
    [this.since, this.isCancelled] = [null, true];
  }

  async #ask(question: Question, abort: AbortController): Promise<Omit<Answer, 'took'>> {
    const response = await call(this.token, '/v1/query', {
      method: 'POST', body: questionBody(question.sql, question.params),
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' }, signal: abort.signal,
    });
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    const answer = new AnswerRows();
    const rows: Row[] = [];
    for (;;) {
      const piece = await reader?.read();
      const text = decoder.decode(piece?.value, { stream: piece?.done === false });
      for (const row of answer.push(text)) rows.push(row);
      if (abort === this.#abort) this.received = rows.length;
      if (!piece || piece.done || rows.length > MOST_ROWS) break;
    }
    const isWhole = rows.length <= MOST_ROWS;
    if (isWhole) answer.finish();
    else await reader?.cancel();
    rows.length = Math.min(rows.length, MOST_ROWS);
    const position = response.headers.get('tidemark-position');
    return { question, columns: answer.columns ?? [], rows, isWhole, position, asOf: answer.asOf };
  }
}
