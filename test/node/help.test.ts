import type { Command } from "commander";
import t from "tap";
import { createProgram } from "../../node/cli/program.ts";

t.test("every command says what it is for and what its options do", async (t) => {
  const commands: string[] = [];
  const visit = (command: Command, path: string): void => {
    commands.push(path);
    const help = command.helpInformation();
    t.match(help, /^Usage: /, path);
    t.ok(command.description().length > 10, `${path} is described`);
    for (const { flags, description } of command.options) t.ok(description.length > 0, `${path} ${flags}`);
    for (const each of command.commands) visit(each, `${path} ${each.name()}`);
  };
  visit(await createProgram(), "rolec");
  t.ok(commands.length > 40, `${commands.length} commands`);
});

t.test("a command is loaded by itself, and known by its own name", async (t) => {
  const namesFor = async (...args: string[]) => (await createProgram(args)).commands.map((command) => command.name());
  const all = await namesFor();
  for (const name of all) t.same(await namesFor(name, "--help"), [name]);
  t.same(await namesFor("--version"), [], "no command at all");
  for (const words of [["help", "run"], ["--help"], ["fly"]]) t.same(await namesFor(...words), all, words.join(" "));
});
