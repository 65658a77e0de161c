import { settingsJsonSchema } from "./settings.ts";

process.stdout.write(JSON.stringify(settingsJsonSchema(), null, 2));
