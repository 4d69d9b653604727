/** A question to a node, as it travels. */
export interface Question {
  readonly method: string;
  readonly params: readonly unknown[];
}
/** What a node answers: a result or an error, with its fields in the order in which they came. */
export interface Answer {
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

const BATCH = 50;

const post = async (url: string, body: unknown): Promise<unknown> => {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
};

/** Asks a node over HTTP, many questions in one request. */
export const askAll = async (url: string, questions: readonly Question[]): Promise<Answer[]> => {
  const answers: Answer[] = [];
  for (let first = 0; first < questions.length; first += BATCH) {
    const batch = questions.slice(first, first + BATCH).map((each, id) => ({ jsonrpc: "2.0", id, ...each }));
    const answered = (await post(url, batch)) as (Answer & { id: number; jsonrpc: string })[];
    for (const { id: _, jsonrpc: __, ...answer } of answered) answers.push(answer);
  }
  return answers;
};

/** Asks one question. Throws with what the node says where that is an error. */
export const askOne = async <T>(url: string, method: string, ...params: unknown[]): Promise<T> => {
  const [answer] = await askAll(url, [{ method, params }]);
  if (answer!.error) throw new Error(`${method}: ${answer!.error.message}`);
  return answer!.result as T;
};
