// Sparkplug B messages as Eclipse Tahu's JavaScript decoder (npm: sparkplug-payload) reads them.
//
// Standard input: one JSON object a line, {"topic": ..., "payload": BASE64}, in the order in which a broker told them.
// Standard output: one JSON object a line, {"topic", "seq", "metrics": [{"name", "type", "value", "timestamp",
// "historical", "properties": {KEY: VALUE}}]}. Whole numbers of 64 bits are texts, for JavaScript's own lose digits.
//
// Data messages name metrics by alias and leave the datatype out, as Sparkplug 3.0 (6.4.7) has it; decodePayload reads
// nothing without one. So, as a host must, this keeps what each birth declared, and gives it back before decoding.

'use strict'

const readline = require('readline')
const sparkplug = require('sparkplug-payload').get('spBv1.0')
const { Payload } = require('sparkplug-payload/lib/sparkplugPayloadProto').org.eclipse.tahu.protobuf

const declared = new Map() // by node: Map of alias -> {name, datatype}; one space of aliases for a node and its devices

function complete (node, kind, bytes) {
  if (kind === 'NBIRTH') declared.set(node, new Map())
  const known = declared.get(node) ?? new Map()
  const message = Payload.decode(bytes)
  for (const metric of message.metrics) {
    const alias = Object.hasOwn(metric, 'alias') ? String(metric.alias) : metric.name
    if (kind.endsWith('BIRTH')) known.set(alias, { name: metric.name, datatype: metric.datatype })
    const { name, datatype } = known.get(alias) ?? metric
    metric.name = name
    if (!Object.hasOwn(metric, 'datatype')) metric.datatype = datatype
  }
  return Payload.encode(message).finish()
}

function plain (value) {
  return value !== null && typeof value === 'object' ? value.toString() : value
}

function shown (metric) {
  const properties = Object.entries(metric.properties ?? {}).map(([key, one]) => [key, plain(one.value)])
  return {
    name: metric.name,
    type: metric.type,
    value: plain(metric.value),
    timestamp: Number(metric.timestamp),
    historical: metric.isHistorical ?? false,
    properties: Object.fromEntries(properties)
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { topic, payload } = JSON.parse(line)
  const [, group, kind, node] = topic.split('/')
  const decoded = sparkplug.decodePayload(complete(`${group}/${node}`, kind, Buffer.from(payload, 'base64')))
  const seq = decoded.seq === undefined ? null : Number(decoded.seq)
  console.log(JSON.stringify({ topic, seq, metrics: decoded.metrics.map(shown) }))
})
