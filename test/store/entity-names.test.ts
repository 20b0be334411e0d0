import { expect, test } from '@jest/globals';
import { getMetadataArgsStorage } from 'typeorm';
import { ENTITIES } from '../../src/entities/all.js';
import { underEntityNames } from '../../src/store/statement.js';

test('every entity has for every column the name that a whole row of the table is given under', () => {
  const columns = getMetadataArgsStorage().columns.filter(({ target }) => ENTITIES.some((entity) => entity === target));
  expect(columns.length).toBeGreaterThan(100);
  const named = columns.map(({ options, propertyName }) => [options.name, propertyName]);
  expect(named.map(([column]) => Object.keys(underEntityNames({ [column ?? '']: 1 }))[0])).toEqual(
    named.map(([, property]) => property),
  );
});
