// What a shop has in stock: function notCode() {} stands in a comment.
"use strict";

const fs = require("node:fs");
const SHELF = 40, NAMES = ["function neither() {}"];

function load(path, { strict = true } = {}) {
  const parse = (line) => {
    const [name, count] = line.split(/[ }]+/);
    return new Item(name, Number(count));
  };
  return fs.readFileSync(path, "utf8").split("\n").map(parse);
}

class Item extends Object {
  static #made = 0;
  weigh = async (scale) => scale.weigh(this);

  constructor(name, count) {
    super();
    Item.#made += 1;
    this.name = name;
    this.count = count;
  }

  get isGone() {
    return this.count === 0;
  }

  *[Symbol.iterator]() {
    yield `${this.name} ${(() => this.count)()}`;
  }

  #secret() {}
}

export const longest = (items) => items.reduce((one, other) => (one.name > other.name ? one : other));

exports.total = function (items) {
  return items.length;
};

const handlers = {
  onSale(item) {
    return item.name;
  },
  onReturn: async (item) => item,
};

export default async function* stream() {
  yield* load("stock.txt");
}
