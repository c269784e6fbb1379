// Holds Kubernetes objects to Kubernetes' schemas: a JSON list of objects on standard input, a JSON list of complaints on standard
// output. The folder of node_modules is the argument. The schemas say what a field must be; which fields there are is in the types
// beside them, so a misspelt field is found there.
"use strict";
const fs = require("fs");
const path = require("path");
const modules = process.argv[2];

// The package and the folder that hold a version of an API.
function folderOf(apiVersion) {
  if (apiVersion.startsWith("cert-manager.io/")) return `@kubernetes-models/cert-manager/${apiVersion}`;
  if (apiVersion.startsWith("monitoring.coreos.com/")) return `@kubernetes-models/prometheus-operator/${apiVersion}`;
  return `kubernetes-models/${apiVersion}`;
}

const parsed = new Map();

// {types: {NAME: TYPE}, imports: {NAME: FILE}} of a file of types. A TYPE is {fields}, {items}, {name} or {} for anything else.
function typesOf(file) {
  if (parsed.has(file)) return parsed.get(file);
  const text = fs.readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const imports = {};
  for (const [, names, from] of text.matchAll(/import \{([^}]*)\} from "([^"]+)"/g)) {
    const target = from.startsWith(".") ? path.join(path.dirname(file), from) : path.join(modules, from);
    for (const name of names.split(",")) imports[name.trim()] = `${target}.d.ts`;
  }
  const types = {};
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[A-Za-z_$][\w$.]*|[{}<>[\]|?:;,=()&]/g) || [];
  let at = 0;
  function type() {
    let result = {};
    do {
      if (tokens[at] === "|") at++;
      if (tokens[at] === "{") {
        result = fields();
      } else if (tokens[at] === "Array") {
        at += 2;
        result = { items: type() };
        at++;
      } else {
        if (/^[A-Z]/.test(tokens[at]) && tokens[at] !== "Array") result = { name: tokens[at] };
        at++;
      }
    } while (tokens[at] === "|");
    return result;
  }
  function fields() {
    const found = { fields: {}, open: false };
    for (at++; tokens[at] !== "}"; ) {
      if (tokens[at] === "[") {
        // [key: string]: TYPE
        found.open = true;
        at += 6;
        found.each = type();
      } else {
        const name = JSON.parse(tokens[at].startsWith('"') ? tokens[at] : `"${tokens[at]}"`);
        at += tokens[at + 1] === "?" ? 3 : 2;
        found.fields[name] = type();
      }
      if (tokens[at] === ";") at++;
    }
    at++;
    return found;
  }
  while (at < tokens.length) {
    if (tokens[at] === "interface") {
      const name = tokens[at + 1];
      while (tokens[at] !== "{") at++;
      types[name] = fields();
    } else {
      at++;
    }
  }
  // export { IProbe as IIoK8sApiCoreV1Probe }
  for (const [, names] of text.matchAll(/export \{([^}]*)\};/g)) {
    for (const name of names.split(",")) {
      const [own, exported] = name.trim().split(" as ");
      if (types[own]) types[exported] = types[own];
    }
  }
  const result = { types, imports };
  parsed.set(file, result);
  return result;
}

function unknownFields(value, type, file, where, complaints) {
  if (type.name) {
    const { types, imports } = typesOf(file);
    if (types[type.name]) return unknownFields(value, types[type.name], file, where, complaints);
    if (imports[type.name] && fs.existsSync(imports[type.name])) {
      return unknownFields(value, { name: type.name }, imports[type.name], where, complaints);
    }
  } else if (type.items && Array.isArray(value)) {
    value.forEach((item, index) => unknownFields(item, type.items, file, `${where}/${index}`, complaints));
  } else if (type.fields && value !== null && typeof value === "object") {
    for (const [key, field] of Object.entries(value)) {
      if (Object.hasOwn(type.fields, key)) {
        unknownFields(field, type.fields[key], file, `${where}/${key}`, complaints);
      } else if (type.open) {
        unknownFields(field, type.each, file, `${where}/${key}`, complaints);
      } else {
        complaints.push(`${where}/${key} is not known to Kubernetes`);
      }
    }
  }
}

function complaintsOf(object) {
  const what = `${object.apiVersion} ${object.kind} ${object.metadata && object.metadata.name}`;
  const folder = folderOf(object.apiVersion);
  let Model;
  try {
    Model = require(path.join(modules, folder, `${object.kind}.js`))[object.kind];
  } catch (error) {
    return [`${what}: there is no schema (${error.message.split("\n")[0]})`];
  }
  const complaints = [];
  try {
    new Model(object).validate();
  } catch (error) {
    complaints.push(error.message);
  }
  const types = path.join(modules, folder, `${object.kind}.d.ts`);
  unknownFields(object, { name: `I${object.kind}` }, types, "", complaints);
  return complaints.map((complaint) => `${what}: ${complaint}`);
}

const objects = JSON.parse(fs.readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(objects.flatMap(complaintsOf)));
