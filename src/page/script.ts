/**
 * What the status page does in the browser: takes the parts that the server sends and changes only
 * what differs, so that focus, selection and scroll stay. It makes nothing up and asks for nothing
 * but `/live`.
 */
export const SCRIPT = `
"use strict";
const RETRY_MS = 3000;
const connection = document.getElementById("connection");
const parser = new DOMParser();

function say(text, isLost) {
  if (connection.textContent !== text) connection.textContent = text;
  connection.className = isLost ? "lost" : "";
}

function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || from.id !== to.id) {
    from.replaceWith(document.importNode(to, true));
  } else if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
  } else {
    morphAttributes(from, to);
    morphChildren(from, to);
  }
}

function morphAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name)) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

function morphChildren(from, to) {
  const former = [...from.childNodes];
  [...to.childNodes].forEach((node, index) => {
    if (index < former.length) morph(former[index], node);
    else from.append(document.importNode(node, true));
  });
  for (const node of former.slice(to.childNodes.length)) node.remove();
}

function show(sections) {
  const focused = document.activeElement && document.activeElement.id;
  for (const [id, markup] of Object.entries(sections)) {
    const section = document.getElementById(id);
    if (section) morphChildren(section, parser.parseFromString(markup, "text/html").body);
  }
  if (focused && document.activeElement.id !== focused) {
    const element = document.getElementById(focused);
    if (element) element.focus({ preventScroll: true });
  }
}

function connect() {
  const source = new EventSource("live");
  source.addEventListener("sections", (event) => {
    show(JSON.parse(event.data));
    say("Live.", false);
  });
  source.addEventListener("trouble", (event) => {
    say("vnetd cannot say more now: " + JSON.parse(event.data), true);
  });
  source.onerror = () => {
    say("No answer from vnetd: what is shown is old. Trying again.", true);
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  };
}

connect();
`;
