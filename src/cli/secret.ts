import { messages } from "../error/messages.js";
import { isSecretName, makeSecret } from "../transport/tls/secrets.js";
import { checkCount, readArguments } from "./arguments.js";
import { type Command, exitCodes, UsageError } from "./command.js";

const usage = `Usage: mprpc secret NAME

Prints a line for the file of auth.secrets: NAME and a new key of 32 random bytes. Callers and providers that have the same
line speak TLS without certificates, and a provider knows who calls: secret:NAME. Give each service a secret of its own.

  (umask 077; mprpc secret apigw >> apigw.secrets; cat apigw.secrets >> users.secrets)

  -h, --help              this text
`;

export const secretCommand: Command = {
  usage,
  async run(args, io) {
    const { positionals } = readArguments(args, {});
    checkCount(positionals, "NAME", 1);
    const [name = ""] = positionals;
    if (!isSecretName(name)) throw new UsageError(messages.secretNameWrong(JSON.stringify(name)));
    io.out(`${makeSecret(name)}\n`);
    return exitCodes.done;
  },
};
