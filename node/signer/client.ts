import { encodeHeader, hashHeader } from "../../chain/header.ts";
import { voteMessage } from "../../consensus/finality.ts";
import { randaoMessage } from "../../consensus/proposer.ts";
import type { Signer } from "../../consensus/signer.ts";
import { blsVerify } from "../../lib/bls.ts";
import { gather } from "../../lib/byte-source.ts";
import { type Hash, type Hex, isHex, toHex } from "../../lib/bytes.ts";
import { parseJson } from "../../lib/json.ts";
import { recoverCompact } from "../../lib/secp256k1.ts";
import type { NamedValidator } from "../slashing-interchange.ts";
import { MAX_VALIDATORS } from "../validator-keystores.ts";

const TIMEOUT_MS = 2_000;
const MAX_ANSWER_BYTES = 64 * 1024;

export interface SignerClientOptions {
  /** Where `rolec signer` listens, http:// or https://. */
  readonly url: string;
  readonly token: string;
  /** Milliseconds for one request. */
  readonly timeoutMs?: number;
}

/** A signer is not reached: it may be, later. */
export class SignerAway extends Error {
  override readonly name = "SignerAway";
}

/** What a proxy answers while what is behind it does not. */
const AWAY = new Set([502, 503, 504]);

type Fields = Readonly<Partial<Record<string, unknown>>>;

/** Reads an answer of bounded size. */
const readAnswer = async ({ body, status }: Response): Promise<Fields> => {
  const bytes = await gather(body, MAX_ANSWER_BYTES).catch((error: Error) => {
    throw new Error(`answers with ${error.message}`);
  });
  try {
    return (parseJson(bytes) ?? {}) as Fields;
  } catch {
    throw new Error(`answers ${status} and no JSON`);
  }
};

const createAsk =
  ({ url, token, timeoutMs = TIMEOUT_MS }: SignerClientOptions) =>
  async (path: string, body?: object): Promise<Fields> => {
    let response: Response;
    try {
      response = await fetch(new URL(path, url), {
        method: body ? "POST" : "GET",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: body ? JSON.stringify(body) : null,
        // A redirect would carry the token elsewhere.
        redirect: "error",
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (error) {
      const { message, cause } = error as Error;
      throw new SignerAway(`signer ${url}: ${(cause as Error | undefined)?.message || message}`);
    }
    if (AWAY.has(response.status)) throw new SignerAway(`signer ${url}: answers ${response.status}`);
    try {
      const answer = await readAnswer(response);
      if (!response.ok) throw new Error(`answers ${response.status}: ${String(answer.error).slice(0, 200)}`);
      return answer;
    } catch (error) {
      throw new Error(`signer ${url}: ${(error as Error).message}`);
    }
  };

/** Asks a signer for its network and its validators. Throws where it does not answer, refuses the token, or makes no sense. */
export const askValidators = async (
  options: SignerClientOptions,
): Promise<{ readonly genesisHash: Hash; readonly validators: readonly NamedValidator[] }> => {
  const { genesisHash, validators } = await createAsk(options)("validators");
  const isValidator = (each: Partial<NamedValidator> | null): boolean =>
    isHex(each?.address, 20) && isHex(each.blsPublicKey, 48);
  if (!isHex(genesisHash, 32) || !Array.isArray(validators) || validators.length > MAX_VALIDATORS)
    throw new Error(`signer ${options.url}: does not say its network and its validators`);
  if (!validators.every(isValidator)) throw new Error(`signer ${options.url}: names a validator without its keys`);
  return { genesisHash, validators: validators as NamedValidator[] };
};

/**
 * Connects to a signer: one Signer a validator of it, each of which rejects where the signer refuses, is silent, or gives a
 * signature that is not the validator's. Throws where the signer is of another network.
 */
export const connectSigner = async (options: SignerClientOptions, genesisHash: Hash): Promise<Signer[]> => {
  const { validators, ...signer } = await askValidators(options);
  if (signer.genesisHash !== genesisHash)
    throw new Error(`signer ${options.url}: is of the network with genesis ${signer.genesisHash}, not ${genesisHash}`);
  const ask = createAsk(options);
  return validators.map(({ address, blsPublicKey }): Signer => {
    const sign = async (path: string, what: object, isValid: (signature: Hex) => boolean): Promise<Hex> => {
      const { signature } = await ask(path, { validator: address, ...what });
      if (!isHex(signature, path === "proposal" ? 65 : 96) || !isValid(signature))
        throw new Error(`signer ${options.url}: a signature that is not of ${address}`);
      return signature;
    };
    return {
      address,
      proposal: (header) =>
        sign(
          "proposal",
          { header: toHex(encodeHeader(header)) },
          (signature) => recoverCompact(hashHeader(header), signature) === address,
        ),
      reveal: (genesis, slot) =>
        sign("reveal", { slot }, (signature) => blsVerify(blsPublicKey, randaoMessage(genesis, slot), signature)),
      vote: (genesis, link) =>
        sign("vote", { ...link }, (signature) => blsVerify(blsPublicKey, voteMessage(genesis, link), signature)),
    };
  });
};
