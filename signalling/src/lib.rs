//! How people and servers find one another: identity, contacts, invitations, message channel.
