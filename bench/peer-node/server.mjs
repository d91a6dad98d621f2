/* The same echo, written as the TypeScript SDK's documentation shows it. */
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

const server = new McpServer({ name: "peer-node", version: "1.0.0" });
server.registerTool(
  "echo",
  { description: "Echoes a message", inputSchema: { message: z.string() } },
  async ({ message }) => ({ content: [{ type: "text", text: `Echo: ${message}` }] }),
);
await server.connect(new StdioServerTransport());
