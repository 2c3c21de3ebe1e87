"use strict";
/*
 * An OPC UA server of another make (node-opcua), for tests only; 127.0.0.1 only.
 *
 * usage: node server.js --port PORT --pki DIR [--period-ms 100] [--ticks C] [--history N] [--alarms]
 *
 * Endpoints: None, and SignAndEncrypt with Basic256Sha256, Aes128_Sha256_RsaOaep and Aes256_Sha256_RsaPss, each for
 * anonymous users and for `plant` / `plant-password`. Every client certificate is trusted. DIR keeps the certificates.
 *
 * Namespace `urn:test:node-opcua`, below Objects/line, node ids `ns=<ns>;s=<name>`. Nothing there can be written.
 *   Boolean SByte Byte Int16 UInt16 Int32 UInt32 Int64 UInt64 Float Double String DateTime Guid ByteString
 *   LocalizedText DoubleArray           one value each that never changes, see STILL below: extremes, Korean text
 *   Bad, Uncertain                      BadSensorFailure without a value; 1.5 with UncertainLastUsableValue
 *   MovingDouble      c / 8
 *   MovingFloat       (c % 4096) / 8
 *   MovingInt32       c, negative when c is odd
 *   MovingUInt16      c % 65536
 *   MovingInt64       2^62 + c, negative when c is odd
 *   MovingUInt64      2^63 + c
 *   MovingBoolean     c is odd
 *   MovingString      "값 <c>"
 *   MovingStatus      Double c / 8; Bad (BadSensorFailure, no value) when c % 10 == 9,
 *                     UncertainLastUsableValue when c % 10 == 8, else Good
 * Tick c has the source time t0 + c * period. After --ticks C the values stay at tick C. With --history N the last N
 * values of each moving variable can be read by HistoryRead; where more are there than asked for, with continuation points.
 *
 * With --alarms there is Objects/Tank (`s=Tank`), which notifies, and below it what everybody may write:
 *   TankLevel         Double 0.5; the exclusive limit alarm TankAlarm on it is low below 0.2, high above 0.8, and high
 *                     high above 0.9
 *   Announce          String; writing it raises an event of severity 600 with this message, in Korean
 *   Burst             UInt32; writing n raises n such events at once, "1" to "n"
 *
 * Standard output is JSON, an object a line: {"event":"ready","url":...,"port":...,"ns":...,"period_ms":...,"t0_ns":...}
 * when clients can connect, and {"event":"stopped","ticks":...,"last_source_ns":...} at SIGTERM or SIGINT.
 */
const path = require("node:path");
const { webcrypto } = require("node:crypto");
globalThis.crypto ??= webcrypto; // Node.js 18 has it, but not under the name the library looks for
const { parseArgs } = require("node:util");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { nodesets } = require("node-opcua-nodesets");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");
const { OPCUAServer } = require("node-opcua-server");
const { StatusCodes } = require("node-opcua-status-code");
const { DataType, VariantArrayType } = require("node-opcua-variant");

const NAMESPACE = "urn:test:node-opcua";
const USER = "plant";
const PASSWORD = "plant-password";
const NOTHING = { dataType: DataType.Null };

const STILL = {
  Boolean: true,
  SByte: -128,
  Byte: 255,
  Int16: -32768,
  UInt16: 65535,
  Int32: -2147483648,
  UInt32: 4294967295,
  Int64: words(-(2n ** 63n)),
  UInt64: words(2n ** 64n - 1n),
  Float: Math.fround(0.1),
  Double: 0.1,
  String: "가열로 1호 온도 🔥",
  DateTime: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
  Guid: "01234567-89AB-CDEF-0123-456789ABCDEF",
  ByteString: Buffer.from([0, 1, 254, 255]),
  LocalizedText: { locale: "ko", text: "정상" },
};

const MOVING = {
  MovingDouble: (c) => scalar("Double", c / 8),
  MovingFloat: (c) => scalar("Float", (c % 4096) / 8),
  MovingInt32: (c) => scalar("Int32", sign(c) * c),
  MovingUInt16: (c) => scalar("UInt16", c % 65536),
  MovingInt64: (c) => scalar("Int64", words(BigInt(sign(c)) * (2n ** 62n + BigInt(c)))),
  MovingUInt64: (c) => scalar("UInt64", words(2n ** 63n + BigInt(c))),
  MovingBoolean: (c) => scalar("Boolean", c % 2 === 1),
  MovingString: (c) => scalar("String", `값 ${c}`),
  MovingStatus: (c) => (c % 10 === 9 ? NOTHING : scalar("Double", c / 8)),
};

function scalar(type, value) {
  return { dataType: DataType[type], arrayType: VariantArrayType.Scalar, value };
}

function sign(c) {
  return c % 2 === 1 ? -1 : 1;
}

/** A 64-bit integer the way the library wants it: [high, low] of its two's complement. */
function words(n) {
  const bits = BigInt.asUintN(64, n);
  return [Number(bits >> 32n), Number(bits & 0xffffffffn)];
}

function statusOf(name, c) {
  if (name !== "MovingStatus" || c % 10 < 8) return StatusCodes.Good;
  return c % 10 === 9 ? StatusCodes.BadSensorFailure : StatusCodes.UncertainLastUsableValue;
}

function options() {
  const { values } = parseArgs({
    options: {
      port: { type: "string" },
      pki: { type: "string" },
      "period-ms": { type: "string", default: "100" },
      ticks: { type: "string", default: String(Number.MAX_SAFE_INTEGER) },
      history: { type: "string", default: "0" },
      alarms: { type: "boolean", default: false },
    },
  });
  const whole = (name) => {
    const n = Number(values[name]);
    if (!Number.isSafeInteger(n) || n < 0) throw new Error(`--${name} ${values[name]}: not a whole number`);
    return n;
  };
  if (!values.pki) throw new Error("--pki DIR: folder for the server's certificates missing");
  if (!values.port) throw new Error("--port PORT: missing");
  return { port: whole("port"), pki: values.pki, period: Math.max(1, whole("period-ms")), ticks: whole("ticks"), history: whole("history"), alarms: values.alarms };
}

function makeServer({ port, pki }) {
  return new OPCUAServer({
    host: "127.0.0.1",
    hostname: "127.0.0.1",
    port,
    nodeset_filename: [nodesets.standard],
    serverInfo: { applicationUri: "urn:test:node-opcua:server", productUri: NAMESPACE },
    serverCertificateManager: new OPCUACertificateManager({
      automaticallyAcceptUnknownCertificate: true,
      rootFolder: path.join(pki, "server"),
    }),
    userCertificateManager: new OPCUACertificateManager({ rootFolder: path.join(pki, "user") }),
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.SignAndEncrypt],
    securityPolicies: [
      SecurityPolicy.None,
      SecurityPolicy.Basic256Sha256,
      SecurityPolicy.Aes128_Sha256_RsaOaep,
      SecurityPolicy.Aes256_Sha256_RsaPss,
    ],
    allowAnonymous: true,
    userManager: { isValidUser: (user, password) => user === USER && password === PASSWORD },
  });
}

/** Adds every variable; answers the moving ones by name. */
function addVariables(server, t0) {
  const space = server.engine.addressSpace;
  const namespace = space.registerNamespace(NAMESPACE);
  const line = namespace.addFolder(space.rootFolder.objects, { browseName: "line", nodeId: "s=line" });
  const add = (name, dataType, more = {}) =>
    namespace.addVariable({
      browseName: name,
      nodeId: `s=${name}`,
      organizedBy: line,
      dataType,
      accessLevel: "CurrentRead",
      userAccessLevel: "CurrentRead",
      minimumSamplingInterval: 0,
      ...more,
    });
  for (const [name, value] of Object.entries(STILL)) {
    add(name, name).setValueFromSource(scalar(name, value), StatusCodes.Good, t0);
  }
  add("DoubleArray", "Double", { valueRank: 1 }).setValueFromSource(
    { dataType: DataType.Double, arrayType: VariantArrayType.Array, value: new Float64Array([0.1, -2, 3e300]) },
    StatusCodes.Good,
    t0,
  );
  add("Bad", "Double").setValueFromSource(NOTHING, StatusCodes.BadSensorFailure, t0);
  add("Uncertain", "Double").setValueFromSource(
    scalar("Double", 1.5),
    StatusCodes.UncertainLastUsableValue,
    t0,
  );
  const dataTypeOf = (name) => (name === "MovingStatus" ? "Double" : name.replace("Moving", ""));
  return Object.fromEntries(Object.keys(MOVING).map((name) => [name, add(name, dataTypeOf(name))]));
}

/** The tank, its alarm, and what raises events. */
function addAlarms(server) {
  const space = server.engine.addressSpace;
  const namespace = space.getNamespace(NAMESPACE);
  space.installAlarmsAndConditionsService();
  const tank = namespace.addObject({
    browseName: "Tank",
    nodeId: "s=Tank",
    eventNotifier: 1,
    notifierOf: space.rootFolder.objects.server,
    organizedBy: space.rootFolder.objects,
  });
  const add = (name, type, value) =>
    namespace.addVariable({
      browseName: name,
      nodeId: `s=${name}`,
      componentOf: tank,
      eventSourceOf: tank,
      dataType: type,
      accessLevel: "CurrentRead | CurrentWrite",
      userAccessLevel: "CurrentRead | CurrentWrite",
      value: scalar(type, value),
    });
  const raise = (text) =>
    tank.raiseEvent("BaseEventType", {
      message: { dataType: DataType.LocalizedText, value: { locale: "ko", text } },
      severity: { dataType: DataType.UInt16, value: 600 },
    });
  const level = add("TankLevel", "Double", 0.5);
  namespace.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", {
    browseName: "TankAlarm",
    nodeId: "s=TankAlarm",
    componentOf: tank,
    conditionName: "TankAlarm",
    conditionSource: level,
    inputNode: level,
    lowLimit: 0.2,
    highLimit: 0.8,
    highHighLimit: 0.9,
    setpointNode: null,
  });
  add("Announce", "String", "").on("value_changed", (data) => raise(data.value.value));
  add("Burst", "UInt32", 0).on("value_changed", (data) => {
    for (let k = 1; k <= data.value.value; k++) raise(String(k));
  });
}

/** Keeps the last n values of each. */
function record(server, variables, n) {
  const space = server.engine.addressSpace;
  for (const variable of variables) space.installHistoricalDataNode(variable, { maxOnlineValues: n });
}

function setAll(moving, c, at) {
  for (const [name, variable] of Object.entries(moving)) {
    variable.setValueFromSource(MOVING[name](c), statusOf(name, c), at);
  }
}

/** Calls set(c) one period after another without drift; answers a function that stops it and tells the last tick. */
function startTicking(period, ticks, set) {
  const start = performance.now();
  let c = 0;
  let timer;
  const step = () => {
    while (c < ticks && start + (c + 1) * period <= performance.now()) set(++c);
    if (c < ticks) timer = setTimeout(step, Math.max(0, start + (c + 1) * period - performance.now()));
  };
  step();
  return () => {
    clearTimeout(timer);
    return c;
  };
}

/** Prints a line of JSON. Times are milliseconds here and nanoseconds there: six zeros more, as no number can hold them. */
function say(event, facts, timeName, ms) {
  const rest = JSON.stringify({ event, ...facts }).slice(0, -1);
  process.stdout.write(`${rest},"${timeName}":${ms}000000}\n`);
}

async function main() {
  console.log = console.error; // the library chats there, and standard output is for our lines
  const { port, pki, period, ticks, history, alarms } = options();
  const server = makeServer({ port, pki });
  await server.initialize();
  const t0 = Date.now();
  const moving = addVariables(server, new Date(t0));
  if (alarms) addAlarms(server);
  if (history) record(server, Object.values(moving), history);
  setAll(moving, 0, new Date(t0));
  await server.start();
  const stop = startTicking(period, ticks, (c) => setAll(moving, c, new Date(t0 + c * period)));
  const ns = server.engine.addressSpace.getNamespaceIndex(NAMESPACE);
  let stopping = false;
  const end = async () => {
    if (stopping) return;
    stopping = true;
    const last = stop();
    say("stopped", { ticks: last }, "last_source_ns", t0 + last * period);
    await server.shutdown(0);
    process.exit(0);
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  say("ready", { url: `opc.tcp://127.0.0.1:${port}/`, port, ns, period_ms: period }, "t0_ns", t0);
}

if (require.main === module) {
  main().catch((error) => {
    process.stderr.write(`node-opcua server: ${error.stack || error}\n`);
    process.exit(2);
  });
}
