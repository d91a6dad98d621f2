// The published TypeScript client (@modelcontextprotocol/client) in its three
// modes against the real host over stdio.
//   MANIFOLD=host MANIFOLD_PLUGINS=dir MANIFOLD_BAD=dir node --test typescript_client.mjs
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const host = process.env.MANIFOLD;
const plugins = process.env.MANIFOLD_PLUGINS;
const modes = {
  legacy: { mode: 'legacy', era: 'legacy', version: '2025-11-25' },
  auto: { mode: 'auto', era: 'modern', version: '2026-07-28' },
  modern: { mode: { pin: '2026-07-28' }, era: 'modern', version: '2026-07-28' },
};

async function connect(mode, directory = plugins, options = {}) {
  const transport = new StdioClientTransport({
    command: host,
    args: ['serve', '--plugins', directory, '--trust'],
    stderr: 'pipe',
  });
  const client = new Client({ name: 'manifold-tests', version: '1' },
    { versionNegotiation: { mode }, ...options });
  const problems = [];
  client.onerror = (e) => problems.push(e);
  await client.connect(transport);
  return { client, transport, problems };
}

for (const [name, expected] of Object.entries(modes)) {
  test(`${name} mode`, async (t) => {
    const { client, transport, problems } = await connect(expected.mode);
    try {
      await t.test('agrees on a revision', () => {
        assert.equal(client.getProtocolEra(), expected.era);
        assert.equal(client.getNegotiatedProtocolVersion(), expected.version);
        if (expected.era === 'legacy') assert.equal(client.getServerVersion().name, 'manifold');
      });
      await t.test('lists tools with their schemas', async () => {
        const { tools } = await client.listTools();
        const echo = tools.find((x) => x.name === 'echo');
        assert.equal(echo.inputSchema.properties.message.type, 'string');
        assert.ok(tools.find((x) => x.name === 'echo_structured').outputSchema);
        assert.ok(tools.find((x) => x.name === 'sleep').annotations.readOnlyHint);
      });
      await t.test('calls a tool', async () => {
        const r = await client.callTool({ name: 'echo', arguments: { message: 'h\u00e9llo "w\u00f6rld"\n' } });
        assert.deepEqual(r.content, [{ type: 'text', text: 'Echo: h\u00e9llo "w\u00f6rld"\n' }]);
        assert.ok(!r.isError);
      });
      await t.test('gets structured content that the client validates', async () => {
        await client.listTools();
        const r = await client.callTool({ name: 'echo_structured', arguments: { message: 'abc' } });
        assert.deepEqual(r.structuredContent, { echo: 'abc', length: 3 });
      });
      await t.test('is told what is wrong with arguments', async () => {
        const r = await client.callTool({ name: 'echo', arguments: { message: 7 } });
        assert.equal(r.isError, true);
        assert.match(r.content[0].text, /message.*expected string.*found number/);
      });
      await t.test('gets -32602 for an unknown tool', async () => {
        await assert.rejects(client.callTool({ name: 'nosuch', arguments: {} }), (e) => e.code === -32602);
      });
      await t.test('gets progress while a tool runs, and other answers meanwhile', async () => {
        const seen = [];
        const slow = client.callTool({ name: 'sleep', arguments: { ms: 300 } }, { onprogress: (p) => seen.push(p.progress) });
        const fast = await client.callTool({ name: 'echo', arguments: { message: 'meanwhile' } });
        assert.equal(fast.content[0].text, 'Echo: meanwhile');
        assert.equal((await slow).content[0].text, 'Slept 300 ms');
        assert.ok(seen.length >= 2, `progress: ${seen}`);
        assert.deepEqual(seen, [...seen].sort((a, b) => a - b));
      });
      await t.test('cancels a call', async () => {
        const abort = new AbortController();
        const call = client.callTool({ name: 'sleep', arguments: { ms: 60000 } }, { signal: abort.signal });
        setTimeout(() => abort.abort(), 50);
        await assert.rejects(call);
        const again = await client.callTool({ name: 'echo', arguments: { message: 'still here' } });
        assert.equal(again.content[0].text, 'Echo: still here');
      });
      await t.test('reads resources and templates', async () => {
        const { resources } = await client.listResources();
        assert.ok(resources.some((r) => r.uri === 'manifold://status'));
        const { resourceTemplates } = await client.listResourceTemplates();
        assert.ok(resourceTemplates.some((r) => r.uriTemplate === 'echo://shout/{text}'));
        const shout = await client.readResource({ uri: 'echo://shout/hello' });
        assert.equal(shout.contents[0].text, 'HELLO');
        const status = JSON.parse((await client.readResource({ uri: 'manifold://status' })).contents[0].text);
        assert.equal(status.plugins.find((p) => p.name === 'echo').state, 'ready');
        // The client translates the older revisions' -32002 itself.
        await assert.rejects(client.readResource({ uri: 'echo://none' }),
          (e) => e.code === -32602 && e.data.uri === 'echo://none');
      });
      await t.test('gets prompts and completions', async () => {
        const { prompts } = await client.listPrompts();
        assert.ok(prompts.some((p) => p.name === 'recite'));
        const p = await client.getPrompt({ name: 'recite', arguments: { topic: 'the sea' } });
        assert.match(p.messages[0].content.text, /the sea/);
        const c = await client.complete({
          ref: { type: 'ref/prompt', name: 'reply' },
          argument: { name: 'style', value: 'f' },
        });
        assert.deepEqual(c.completion.values, ['formal']);
      });
      await t.test('carries a mebibyte both ways', async () => {
        const message = 'x'.repeat(1 << 20);
        const r = await client.callTool({ name: 'echo', arguments: { message } });
        assert.equal(r.content[0].text.length, (1 << 20) + 6);
      });
      if (expected.era === 'legacy') {
        await t.test('pings and sets the log level', async () => {
          await client.ping();
          await client.setLoggingLevel('debug');
        });
      }
      assert.deepEqual(problems, []);
    } finally {
      const pid = transport.pid;
      const start = performance.now();
      await client.close();
      assert.ok(performance.now() - start < 1500, 'the host ends when its input is closed, without a signal');
      assert.throws(() => process.kill(pid, 0), 'no orphan');
    }
  });
}

// What changes: a list by a reload, a resource by its plugin (tests/plugins/tells.c).
for (const [name, expected] of Object.entries(modes)) {
  test(`${name} mode hears of changes`, async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'manifold-'));
    cpSync(path.join(process.env.MANIFOLD_BAD, 'tells'), directory, { recursive: true });
    const told = { tools: Promise.withResolvers(), resource: Promise.withResolvers() };
    const { client, transport, problems } = await connect(expected.mode, directory, {
      listChanged: { tools: { onChanged: (e, tools) => (e ? told.tools.reject(e) : told.tools.resolve(tools)) } },
    });
    try {
      client.setNotificationHandler('notifications/resources/updated', (n) => told.resource.resolve(n.params.uri));
      let subscription;
      if (expected.era === 'legacy') {
        await client.subscribeResource({ uri: 'tells://watched' });
      } else {
        subscription = await client.listen({ resourceSubscriptions: ['tells://watched', 'tells://quiet'] });
        assert.deepEqual(subscription.honoredFilter, { resourceSubscriptions: ['tells://watched'] });
      }
      await client.callTool({ name: 'tells', arguments: { uri: 'tells://watched', times: 10 } });
      assert.equal(await told.resource.promise, 'tells://watched');
      const manifest = path.join(directory, 'tells.yaml');
      writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('Says what', 'Says again what'));
      process.kill(transport.pid, 'SIGHUP');
      assert.equal((await told.tools.promise)[0].description, 'Says again what has changed');
      if (subscription) {
        process.kill(transport.pid, 'SIGTERM');
        assert.equal(await subscription.closed, 'graceful');
      } else {
        await client.unsubscribeResource({ uri: 'tells://watched' });
      }
      assert.deepEqual(problems, []);
    } finally {
      await client.close();
      rmSync(directory, { recursive: true });
    }
  });
}
