/**
 * What to do when a file of a program's folder is damaged, and what is lost by it: as after a loss of power, or on a disk that
 * fails. Each reader of such a file gives one.
 */
export const REMEDIES = {
  genesis: "Put the network's genesis document in its place: nothing is lost by that",
  validator:
    "Put a copy of it in its place; one that names key files or a signer can be written again (docs/validator-keys.md). Plain keys without a copy are lost, and the node does not validate. Never make new ones for the same bond",
  keystore:
    "Put a copy of the key file in its place. Without one its key is lost, unless there are words that bring it back (rolec validator keys new --seed-file)",
  worker:
    "Put a copy of it in its place. Without a copy the worker's account is lost with what it holds; with the file removed, rolec worker start makes another worker",
  note: "Remove it: the program writes it again while it runs, and nothing is lost",
  earnings: "Remove it: all is counted again from block 1, and nothing is lost",
  pool: "Remove it and start again: deals and tasks are read from the chain. What is lost is who was asked, so a task may be computed twice",
  token:
    "Remove it where the signer runs: it makes another at its start, of which every node needs a copy. Nothing else is lost",
  secret: "Put a copy of it in its place: what it opens stays shut without it",
  lock: "Remove it while no program runs in its folder: nothing is lost",
  chain:
    "Stop the node, remove the folder and start again: it gets the chain from its peers. Where no other node has the chain, the chain is lost",
  data: "Stop the node, remove the folder and start again. What other nodes keep too comes back when it is asked for; what this one alone kept is lost, and so is its book of orders until others send theirs",
  protection:
    "It keeps your validators from signing twice: do not go on without it. Bring it back from an interchange (remove the folder, then rolec validator protection import), or let the validators rest, and start without it (--new-protection) only once the head's epoch is above every one that they can have signed",
  newProtection:
    "What was signed before keeps a validator from signing twice, for which its bond is slashed. Put the folder back as it was, or bring over what was signed (rolec validator protection import <file>). For keys that never signed on this chain there is --new-protection",
} as const;
