import { Command } from "commander";
import type { Address } from "../../lib/bytes.ts";
import { rlc } from "../../lib/units.ts";
import { rpcClient } from "../../rpc/client.ts";
import { DEFAULT_NODE, url, whole } from "./options.ts";
import { print, printJson, short, table } from "./output.ts";

interface Credit {
  readonly creditWei: string;
  readonly tiedWei: string;
  readonly nearWei: string;
  readonly untiedWei: string;
  readonly unknownWei: string;
}
interface Audit extends Credit {
  readonly era: number;
  readonly blocks: {
    readonly first: number;
    readonly last: number;
    readonly fundsFrom: number;
    readonly missing: number;
  };
  readonly lots: number;
  readonly validators: readonly (Credit & { readonly validator: Address })[];
}
interface Flags {
  era?: number;
  blocks?: number;
  node: string;
  json?: boolean;
}

const part = (of: string, { creditWei }: Credit): string =>
  creditWei === "0" ? "-" : `${(Number((BigInt(of) * 1_000n) / BigInt(creditWei)) / 10).toFixed(1)} %`;
const cells = (credit: Credit): string[] => [
  rlc(BigInt(credit.creditWei), 9),
  part(credit.tiedWei, credit),
  part(credit.nearWei, credit),
  part(credit.untiedWei, credit),
  part(credit.unknownWei, credit),
];

export const auditCommand = (): Command =>
  new Command("audit")
    .description(
      "tell how much of an era's contribution credit came from jobs of accounts that are tied to who earned it",
    )
    .option("--era <n>", "era; the last one that is over when left out", whole(0, Number.MAX_SAFE_INTEGER))
    .option("--blocks <n>", "blocks before the era in which funds are followed (1,000)", whole(0, 20_000))
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--json", "print JSON")
    .action(async (flags: Flags) => {
      const audit = (await rpcClient(flags.node).call("rolec_audit", [
        flags.era ?? null,
        flags.blocks ?? null,
      ])) as Audit;
      if (flags.json) return printJson(audit);
      const { first, last, fundsFrom, missing } = audit.blocks;
      print(`era ${audit.era}, blocks ${first} to ${last}: ${audit.lots} lots gave credit`);
      const rows = audit.validators.map((each) => [short(each.validator), ...cells(each)]);
      const header = ["validator", "credit, RLC", "tied", "near", "no tie seen", "unknown"];
      print(table(header, [...rows, ["all", ...cells(audit)]]));
      print();
      print(
        `ties are what blocks ${fundsFrom} to ${last} show${missing > 0 ? `, ${missing} of which the node lacks` : ""}; none seen is no proof that there is none`,
      );
      return undefined;
    });
