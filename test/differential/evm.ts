import { createCustomCommon, Hardfork, Mainnet } from "@ethereumjs/common";
import { createEVM, type EVM, EVMError } from "@ethereumjs/evm";
import { createAccount, createAddressFromString, Address as EvmAddress } from "@ethereumjs/util";
import secp256k1 from "secp256k1";
import { type Address, concat, fromHex, type Hash, toHex } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";
import { ENTRY_CODE_HASH } from "../../vm/market/registry.ts";
import { createJournaledState } from "./journaled-state.ts";
import type { Message, Outcome, World } from "./world.ts";

const GAS = 10n ** 9n;
const at = (address: Address): EvmAddress => createAddressFromString(address);

/** An opcode that Ethereum does not have, through which the interpreter is reached. */
const PROBE = 0xb0;
interface Operation {
  readonly opcodeInfo: {
    readonly code: number;
    readonly feeBigInt: bigint;
    readonly dynamicGas: boolean;
    readonly isInvalid: boolean;
  };
  readonly gasHandler: (state: RunState, gas: bigint, common: unknown) => bigint | Promise<bigint>;
  readonly opHandler: (state: RunState, common: unknown) => void | Promise<void>;
}
interface Analysis {
  readonly jumps: Uint8Array;
  readonly pushes: unknown;
  readonly opcodesCached: readonly Operation[];
}
interface RunState {
  code: Uint8Array;
  opCode: number;
  programCounter: number;
  validJumps: Uint8Array;
  cachedPushes: unknown;
  shouldDoJumpAnalysis: boolean;
}
interface Interpreter {
  readonly _runState: RunState;
  readonly common: unknown;
  useGas(gas: bigint, info: Operation["opcodeInfo"]): void;
  _getValidJumpDestinations(code: Uint8Array): Analysis;
  run(code: Uint8Array): Promise<{ runState: RunState; exceptionError: EVMError | undefined }>;
}

let isLean = false;
/**
 * Replaces the interpreter's loop by one that analyses a contract's code once, and waits only for operations that are
 * asynchronous: the library's own waits at each of the millions. The operations and their gas are the library's.
 */
const useLeanLoop = (interpreter: Interpreter): void => {
  if (isLean) return;
  isLean = true;
  const prototype = Object.getPrototypeOf(interpreter) as Interpreter;
  const analyses = new WeakMap<Uint8Array, Analysis>();
  prototype.run = async function (this: Interpreter, code) {
    const analysis = analyses.get(code) ?? this._getValidJumpDestinations(code);
    analyses.set(code, analysis);
    const { _runState: state, common } = this;
    Object.assign(state, {
      code,
      validJumps: analysis.jumps,
      cachedPushes: analysis.pushes,
      shouldDoJumpAnalysis: false,
    });
    let exceptionError: EVMError | undefined;
    try {
      while (state.programCounter < code.length) {
        const { opcodeInfo, gasHandler, opHandler } = analysis.opcodesCached[state.programCounter]!;
        state.opCode = opcodeInfo.code;
        let gas = opcodeInfo.feeBigInt;
        if (opcodeInfo.dynamicGas) {
          const more = gasHandler(state, gas, common);
          gas = typeof more === "bigint" ? more : await more;
        }
        if (opcodeInfo.isInvalid) throw new EVMError(EVMError.errorMessages.INVALID_OPCODE);
        this.useGas(gas, opcodeInfo);
        state.programCounter += 1;
        const done = opHandler(state, common);
        if (done) await done;
      }
    } catch (error) {
      if (!(error instanceof EVMError)) throw error;
      if (error.error !== EVMError.errorMessages.STOP) exceptionError = error;
    }
    return { runState: state, exceptionError };
  };
};

export type Machine = Awaited<ReturnType<typeof createMachine>>;

/** Makes an EVM with an empty state. Keccak and recovery are native ones, for speed. */
export const createMachine = async (chainId: number, registries: readonly Address[]) => {
  const common = createCustomCommon({ chainId }, Mainnet, {
    // The contracts ask for no more than PUSH0 beyond it, and without warm and cold slots there is less to keep.
    hardfork: Hardfork.Istanbul,
    eips: [3855],
    customCrypto: {
      keccak256: keccak256Bytes,
      ecrecover: (hash, v, r, s) =>
        secp256k1.ecdsaRecover(concat(r, s), Number(v) - 27, Uint8Array.from(hash), false).slice(1),
    },
  });
  const state = createJournaledState();
  const evm = await createEVM({
    common,
    stateManager: state,
    allowUnlimitedContractSize: true,
    customOpcodes: [
      {
        opcode: PROBE,
        opcodeName: "PROBE",
        baseFee: 0,
        logicFunction: ({ interpreter }) => useLeanLoop(interpreter as unknown as Interpreter),
      },
    ],
  });
  await evm.runCode({ code: Uint8Array.of(PROBE), gasLimit: GAS });
  // The one thing that differs from Ethereum: the registries' CREATE2 addresses are those of rolec, which has no proxy
  // code to hash. So every address, hash and signature of a sequence is the same in both worlds.
  const own = evm as unknown as {
    _generateAddress(message: Parameters<EVM["runCall"]>[0]["message"]): Promise<EvmAddress>;
  };
  const generateAddress = own._generateAddress.bind(evm);
  own._generateAddress = async (message) => {
    const from = message!.caller.toString();
    if (!message!.salt || !registries.includes(from as Address)) return generateAddress(message);
    const hashed = concat(Uint8Array.of(0xff), message!.caller.bytes, message!.salt, fromHex(ENTRY_CODE_HASH));
    return new EvmAddress(keccak256Bytes(hashed).slice(12));
  };

  const block = (timestamp: number) => ({
    header: {
      number: BigInt(timestamp),
      coinbase: at(`0x${"00".repeat(20)}`),
      timestamp: BigInt(timestamp),
      difficulty: 0n,
      prevRandao: new Uint8Array(32),
      gasLimit: GAS,
      baseFeePerGas: 0n,
      slotNumber: 0n,
      getBlobGasPrice: () => 0n,
    },
  });

  const call = async ({ from, to, data, value }: Message, timestamp: number): Promise<Outcome> => {
    const { execResult } = await evm.runCall({
      caller: at(from),
      to: at(to),
      data: fromHex(data),
      value,
      gasLimit: GAS,
      gasPrice: 0n,
      block: block(timestamp),
    });
    await evm.journal.cleanup();
    state.originalStorageCache.clear();
    const ok = execResult.exceptionError === undefined;
    return {
      ok,
      data: toHex(execResult.returnValue),
      logs: ok
        ? (execResult.logs ?? []).map(([address, topics, bytes]) => ({
            address: toHex(address),
            topics: topics.map((topic) => toHex(topic) as Hash),
            data: toHex(bytes),
          }))
        : [],
    };
  };
  const isolated = async <T>(run: () => Promise<T>): Promise<T> => {
    await state.checkpoint();
    try {
      return await run();
    } finally {
      await state.revert();
    }
  };
  const world: World = {
    name: "PoCo",
    call,
    view: (message, timestamp) => isolated(() => call(message, timestamp)),
    balance: async (address) => (await state.getAccount(at(address)))?.balance ?? 0n,
    isolated,
  };
  return {
    ...world,
    state,
    /** Runs creation code so that the contract stands at an address of choice. */
    place: async (address: Address, creation: Uint8Array, from: Address): Promise<void> => {
      await state.putAccount(at(address), createAccount({ nonce: 1n }));
      const { execResult } = await evm.runCall({
        code: creation,
        caller: at(from),
        to: at(address),
        gasLimit: GAS,
        block: block(0),
      });
      const { returnValue, exceptionError } = execResult;
      if (exceptionError) throw new Error(`${address}: ${exceptionError.error} ${toHex(returnValue)}`);
      await state.putCode(at(address), Uint8Array.from(returnValue));
      await evm.journal.cleanup();
    },
    setCode: (address: Address, code: Uint8Array) => state.putCode(at(address), code),
    credit: async (address: Address, wei: bigint): Promise<void> => {
      const account = (await state.getAccount(at(address))) ?? createAccount({});
      account.balance += wei;
      await state.putAccount(at(address), account);
    },
    /** Replaces a word wherever it stands in an account's storage. */
    replaceWord: async (address: Address, from: Hash, to: Hash): Promise<void> => {
      for (const { key, value } of state.slots(at(address)))
        if (toHex(value) === from) await state.putStorage(at(address), fromHex(key), fromHex(to));
    },
  };
};
