import type { Command } from "commander";
import t from "tap";
import { createProgram } from "../../node/cli/program.ts";

t.test("every command says what it is for and what its options do", (t) => {
  const commands: string[] = [];
  const visit = (command: Command, path: string): void => {
    commands.push(path);
    const help = command.helpInformation();
    t.match(help, /^Usage: /, path);
    t.ok(command.description().length > 10, `${path} is described`);
    for (const { flags, description } of command.options) t.ok(description.length > 0, `${path} ${flags}`);
    for (const each of command.commands) visit(each, `${path} ${each.name()}`);
  };
  visit(createProgram(), "rolec");
  t.ok(commands.length > 40, `${commands.length} commands`);
  t.end();
});
